"""Moving money, and what was moved. A transfer's first room; ledger/committer.py is the next."""

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import amount_of, header_keys, key_of, read_fields, string_of
from nostro.api.desk import Desk
from nostro.api.dialects import Dialect
from nostro.api.documents import Document, json_answer, seen_document, transaction_document
from nostro.api.paging import page_of
from nostro.api.sent import require_money_fields, transfer_of
from nostro.domain.errors import InvalidField, NostroError, UnknownAccount
from nostro.domain.ids import parse_id
from nostro.domain.posting import Posted
from nostro.domain.transaction import TransactionStatus, valid_key
from nostro.domain.user import Claims, Role

REPLAYED = {"Idempotency-Replayed": "true"}


async def transfer(request: Request, desk: Desk) -> Response:
    claims = desk.claims(request)
    try:
        sent = transfer_of(await read_fields(request), header_keys(request))
    except NostroError:
        await _authenticate_first(desk, claims)
        raise
    posted = await desk.ledger.transfers.transfer(claims, **sent._asdict())
    return _posted(request, desk, "transferred", posted)


async def initial_funds(request: Request, desk: Desk) -> Response:
    claims = desk.claims(request)
    try:
        fields, keys = await read_fields(request), header_keys(request)
        require_money_fields(fields, keys, "toAccount")
        to_account = parse_id(string_of(fields, "toAccount"), "toAccount")
        amount, key = amount_of(fields), key_of(fields, keys)
    except NostroError:
        await _authenticate_first(desk, claims, system=True)
        raise
    posted = await desk.ledger.transfers.initial_funds(claims, key=key, to_account=to_account, amount=amount)
    return _posted(request, desk, "funded", posted)


async def _authenticate_first(desk: Desk, claims: Claims, *, system: bool = False) -> None:
    """A flawed body is answered only to a caller whose token would have been accepted.

    A sound request skips this look: the committer judges its token in the transaction that moves the money.
    """
    await desk.ledger.users.session(claims, system=system)


def _posted(request: Request, desk: Desk, situation: str, posted: Posted) -> Response:
    status, document = posted_document(desk.dialect(request), situation, posted)
    return json_answer(status, document, REPLAYED if posted.replayed else None)


def posted_document(dialect: Dialect, situation: str, posted: Posted) -> tuple[int, Document]:
    """Status and body for money that moved, now or (a replay) before."""
    status, message = dialect.answer("replayed" if posted.replayed else situation)
    transaction = transaction_document(posted.transaction)
    document = {"message": message, "success": True, "transaction": transaction}
    # Of a replay, one of the five reads the bare transaction at top level, the others under `transaction`.
    return status, document | transaction if posted.replayed else document


async def list_transactions(request: Request, desk: Desk) -> Response:
    """The caller's transactions, newest first; `accountId` narrows them to one of the caller's accounts."""
    user = await desk.user(request)
    own = [row.id for row in await desk.ledger.accounts.of(user.id)]
    wanted = request.path_params.get("account") or request.query_params.get("accountId")
    if wanted:
        account = parse_id(wanted, "accountId")
        if account not in own:
            raise UnknownAccount
        own = [account]
    limit, skip = page_of(request)
    if not _status_matches(request.query_params.get("status")):
        own = []
    page, total = await desk.ledger.transfers.page(own, limit=limit, skip=skip)
    return json_answer(
        200,
        {
            "success": True,
            "transactions": [seen_document(seen, user) for seen in page],
            # PostgreSQL sums to a numeric, which would be written as a string.
            "total": total,
            "limit": limit,
            "skip": skip,
        },
    )


def _status_matches(text: str | None) -> bool:
    """Every transaction is COMPLETED today, so a filter keeps all of them or none."""
    if not text:
        return True
    if text.upper() not in {"PENDING", "COMPLETED", "FAILED", "REVERSED"}:
        raise InvalidField("status", "must be one of PENDING, COMPLETED, FAILED, REVERSED")
    return text.upper() == TransactionStatus.COMPLETED.value


async def one_transaction(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    transaction = parse_id(request.path_params["transaction"], "transactionId")
    may_see_all = user.role is not Role.CUSTOMER
    seen = await desk.ledger.transfers.by_id(transaction, None if may_see_all else user.id)
    return json_answer(200, {"success": True, "transaction": seen_document(seen, user)})


async def by_key(request: Request, desk: Desk) -> Response:
    """What became of one of the caller's keys: unknown, or completed with its transaction."""
    user = await desk.user(request)
    found = await desk.ledger.transfers.by_key(user.id, valid_key(unquote(request.path_params["key"])))
    documents = [transaction_document(transaction) for transaction in found]
    document: Document = {"success": True, "outcome": "completed" if found else "unknown"}
    if documents:
        document |= {"transaction": documents[0], "transactions": documents}
    return json_answer(200, document)
