"""Opening accounts, listing and finding them, their balance, and what is said of them."""

from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import read_fields, string_of
from nostro.api.desk import Desk
from nostro.api.details import details_of
from nostro.api.documents import account_document, balance_document, json_answer, user_document
from nostro.api.paging import page_of
from nostro.api.searching import wanted_of
from nostro.domain.errors import InvalidId, NotFound, NotSystemUser, UnknownAccount
from nostro.domain.ids import parse_id
from nostro.domain.user import Role
from nostro.ledger.users import canonical_email
from nostro.store.accounts import ANY_ACCOUNT


async def open_account(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    fields = await read_fields(request)
    code = string_of(fields, "currency")
    currency = await desk.ledger.currencies.of(code) if code else desk.ledger.house_currency
    row = await desk.ledger.accounts.open(user, currency, details_of(fields))
    return desk.answer(request, "account_opened", {"account": account_document(row)})


async def list_accounts(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    wanted = wanted_of(request)
    rows = await desk.ledger.accounts.of(user.id, wanted)
    status, message = desk.dialect(request).answer("no_account_yet")
    if not rows and status >= 400 and wanted == ANY_ACCOUNT:
        raise NotFound(message.format(name=user.name))
    return json_answer(200, {"success": True, "accounts": [account_document(row) for row in rows]})


async def balance(request: Request, desk: Desk) -> Response:
    claims = desk.claims(request)
    try:
        account = parse_id(request.path_params["account"], "accountId")
    except InvalidId:
        await desk.ledger.users.session(claims)
        raise
    return json_answer(200, balance_document(await desk.ledger.balances.read(claims, account)))


async def one_account(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    row = await desk.ledger.accounts.by_id(account, None if user.role is not Role.CUSTOMER else user.id)
    return json_answer(200, {"success": True, "account": account_document(row)})


async def accounts_of_user(request: Request, desk: Desk) -> Response:
    """One's own; another user's id and an unknown one get the same answer."""
    user = await desk.user(request)
    if parse_id(request.path_params["user"], "userId") != user.id:
        raise UnknownAccount
    rows = await desk.ledger.accounts.of(user.id)
    return json_answer(200, {"success": True, "accounts": [account_document(row) for row in rows]})


async def all_accounts(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    if user.role is Role.CUSTOMER:
        raise NotSystemUser
    limit, skip = page_of(request)
    rows = await desk.ledger.accounts.all(wanted_of(request), limit=limit, skip=skip)
    return json_answer(
        200,
        {
            "success": True,
            "accounts": [account_document(row) for row in rows],
            "limit": limit,
            "skip": skip,
        },
    )


async def accounts_by_email(request: Request, desk: Desk) -> Response:
    await desk.user(request, system=True)
    owner = await desk.ledger.users.by_email(canonical_email(unquote(request.path_params["email"])))
    if owner is None:
        raise NotFound("User not found")
    rows = await desk.ledger.accounts.of(owner.id)
    return json_answer(
        200,
        {
            "success": True,
            "user": user_document(owner),
            "accounts": [account_document(row) for row in rows],
        },
    )


async def change_details(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    row = await desk.ledger.accounts.change_details(user, account, details_of(await read_fields(request)))
    return json_answer(200, {"success": True, "account": account_document(row)})
