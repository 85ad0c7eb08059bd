"""Changing the status of accounts, and the audit trail of whatever was changed about them."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import read_fields, require, text_of
from nostro.api.desk import Desk
from nostro.api.documents import Document, account_document, json_answer, number
from nostro.api.paging import page_of
from nostro.domain.account import AccountStatus
from nostro.domain.event import shown_time
from nostro.domain.ids import ObjectId, parse_id, show_id
from nostro.domain.money import Currency
from nostro.domain.user import Role
from nostro.ledger.accounts import parse_status
from nostro.store.accounts import AccountRow
from nostro.store.trail import AccountEvent
from nostro.store.users import User

# What may stand behind an account's path instead of naming the status in the body.
VERBS: dict[str, AccountStatus] = {
    "activate": AccountStatus.ACTIVE,
    "reopen": AccountStatus.ACTIVE,
    "deactivate": AccountStatus.INACTIVE,
    "freeze": AccountStatus.FROZEN,
    "suspend": AccountStatus.FROZEN,
    "block": AccountStatus.BLOCKED,
    "close": AccountStatus.CLOSED,
}


async def change_status(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    fields = await read_fields(request)
    require(fields, "status", "reason")
    after, reason = parse_status(text_of(fields, "status")), text_of(fields, "reason")
    return _changed(await desk.ledger.accounts.change_status(user, account, after, reason))


async def change_status_to(after: AccountStatus, request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    reason = text_of(await read_fields(request), "reason")
    return _changed(await desk.ledger.accounts.change_status(user, account, after, reason))


def _changed(row: AccountRow) -> Response:
    return json_answer(
        200, {"message": "Account status changed", "success": True, "account": account_document(row)}
    )


async def account_events(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    limit, skip = page_of(request)
    row = await desk.ledger.accounts.by_id(account, None if user.role is not Role.CUSTOMER else user.id)
    events = await desk.ledger.accounts.events(account, limit=limit, skip=skip)
    documents = [event_document(event, row, user) for event in events]
    return json_answer(200, {"success": True, "events": documents, "limit": limit, "skip": skip})


def event_document(event: AccountEvent, row: AccountRow, viewer: User) -> Document:
    """What was before and after. Who on the staff did it, and why, is for the staff: a customer must not learn
    from it that somebody looks into their affairs."""
    tells_all = viewer.role is not Role.CUSTOMER or event.actor == viewer.id
    before, after = _sides(event, row.currency)
    return {
        "position": event.position,
        "kind": event.kind,
        "createdAt": shown_time(event.created_at),
        "by": _by(event, row.owner),
        "actor": show_id(event.actor) if event.actor and tells_all else None,
        "reason": event.details.get("reason") if tells_all else None,
        "before": before,
        "after": after,
    }


def _by(event: AccountEvent, owner: ObjectId) -> str:
    if event.actor is None:
        return "COMMAND_LINE"
    return "OWNER" if event.actor == owner else "OPERATOR"


def _sides(event: AccountEvent, currency: Currency) -> tuple[object, object]:
    details = event.details
    match event.kind:
        case "ACCOUNT_OPENED":
            return None, {"status": AccountStatus.ACTIVE.value, "systemAccount": details["settlement"]}
        case "ACCOUNT_STATUS_CHANGED":
            return {"status": details["before"]}, {"status": details["after"]}
        case "LIMITS_CHANGED":
            return _limits(details["before"], currency), _limits(details["after"], currency)
        case _:
            return details["before"], details["after"]


def _limits(side: msgspec.Raw, currency: Currency) -> Document:
    """`hourly` is a number of transfers, the others are amounts."""
    return {
        name: value if value is None or name == "hourly" else number(value, currency.exponent)
        for name, value in msgspec.json.decode(side).items()
    }
