"""Moving money, and what was moved. A transfer's first room; ledger/committer.py is the next."""

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import amount_of, header_keys, key_of, missing_of, read_fields, string_of
from nostro.api.desk import Desk
from nostro.api.dialects import Dialect
from nostro.api.documents import Document, head_document, json_answer, seen_document, transaction_document
from nostro.api.sent import require_money_fields, transfer_of
from nostro.api.terms import flag_of, refuse_terms, terms_of
from nostro.domain.books import Posted
from nostro.domain.errors import NostroError
from nostro.domain.ids import parse_id
from nostro.domain.requests import Request as LedgerRequest
from nostro.domain.transaction import Kind, Operation, valid_key
from nostro.domain.user import Claims, Role
from nostro.ledger.transfers import transfer_request

REPLAYED = {"Idempotency-Replayed": "true"}


async def transfer(request: Request, desk: Desk) -> Response:
    """One leg or many, now or on hold."""
    return await _move(request, desk, Operation.TRANSFER, "transferred")


async def exchange(request: Request, desk: Desk) -> Response:
    return await _move(request, desk, Operation.EXCHANGE, "exchanged")


async def _move(request: Request, desk: Desk, operation: Operation, situation: str) -> Response:
    claims = desk.claims(request)
    try:
        fields = await read_fields(request)
        sent = transfer_of(fields, header_keys(request))
        refuse_terms(sent.terms, operation)
        is_dry = flag_of(fields, "dryRun")
    except NostroError:
        await authenticate_first(desk, claims)
        raise
    wanted = transfer_request(claims, operation=operation, **sent._asdict())
    if is_dry:
        return await previewed(request, desk, wanted)
    posted = await desk.ledger.transfers.ask(wanted)
    if posted.transaction.kind is Kind.HOLD:
        situation = "held"
    return answered(request, desk, situation, posted)


async def initial_funds(request: Request, desk: Desk) -> Response:
    claims = desk.claims(request)
    try:
        fields, keys = await read_fields(request), header_keys(request)
        is_dry = flag_of(fields, "dryRun")
        keys = keys or (["dry run"] if is_dry and missing_of(fields, "idempotencyKey") else [])
        require_money_fields(fields, keys, "toAccount")
        to_account = parse_id(string_of(fields, "toAccount"), "toAccount")
        amount, terms, key = amount_of(fields), terms_of(fields), key_of(fields, keys)
        refuse_terms(terms, Operation.INITIAL_FUNDS)
    except NostroError:
        await authenticate_first(desk, claims, system=True)
        raise
    wanted = transfer_request(
        claims, key, None, to_account, amount, operation=Operation.INITIAL_FUNDS, terms=terms
    )
    if is_dry:
        return await previewed(request, desk, wanted)
    return answered(request, desk, "funded", await desk.ledger.transfers.ask(wanted))


async def previewed(request: Request, desk: Desk, wanted: LedgerRequest) -> Response:
    """What would happen, and the balances afterwards of the accounts that the caller may see."""
    user = await desk.user(request)
    preview = await desk.ledger.previews.preview(wanted)
    transaction = transaction_document(preview.posted.transaction)
    if not preview.posted.replayed:
        for name in ("_id", "id", "position"):
            del transaction[name]
    seen = [
        head_document(account)
        for account in preview.accounts
        if account.owner == user.id or user.role is not Role.CUSTOMER
    ]
    document = {
        "dryRun": True,
        "replayed": preview.posted.replayed,
        "transaction": transaction,
        "balances": seen,
    }
    return desk.answer(request, "previewed", document)


async def authenticate_first(desk: Desk, claims: Claims, *, system: bool = False) -> None:
    """A flawed body is answered only to a caller whose token would have been accepted.

    A sound request skips this look: the committer judges its token in the transaction that moves the money.
    """
    await desk.ledger.users.session(claims, system=system)


def answered(request: Request, desk: Desk, situation: str, posted: Posted) -> Response:
    status, document = posted_document(desk.dialect(request), situation, posted)
    return json_answer(status, document, REPLAYED if posted.replayed else None)


def posted_document(dialect: Dialect, situation: str, posted: Posted) -> tuple[int, Document]:
    """Status and body for money that moved, now or (a replay) before."""
    status, message = dialect.answer("replayed" if posted.replayed else situation)
    transaction = transaction_document(posted.transaction)
    document = {"message": message, "success": True, "transaction": transaction}
    # Of a replay, one of the five reads the bare transaction at top level, the others under `transaction`.
    return status, document | transaction if posted.replayed else document


async def one_transaction(request: Request, desk: Desk) -> Response:
    """With the captures, reversals … that are about it, in `related`."""
    user = await desk.user(request)
    transaction = parse_id(request.path_params["transaction"], "transactionId")
    may_see_all = user.role is not Role.CUSTOMER
    seen = await desk.ledger.transfers.by_id(transaction, None if may_see_all else user.id)
    related = await desk.ledger.transfers.about(seen.transaction)
    document = seen_document(seen, user) | {"related": [transaction_document(one) for one in related]}
    return json_answer(200, {"success": True, "transaction": document})


async def by_key(request: Request, desk: Desk) -> Response:
    """What became of one of the caller's keys: unknown, or completed with its transaction."""
    user = await desk.user(request)
    found = await desk.ledger.transfers.by_key(user.id, valid_key(unquote(request.path_params["key"])))
    documents = [transaction_document(transaction) for transaction in found]
    document: Document = {"success": True, "outcome": "completed" if found else "unknown"}
    if documents:
        document |= {"transaction": documents[0], "transactions": documents}
    return json_answer(200, document)
