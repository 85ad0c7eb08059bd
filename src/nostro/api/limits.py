"""What an account may have and pay: seeing its limits, and setting them."""

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import Fields, number_text_of, read_fields, text_of, whole
from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer, number
from nostro.domain.event import shown_time
from nostro.domain.ids import parse_id, show_id
from nostro.ledger.limits import Limit, parse_limit
from nostro.store.accounts import AccountRow
from nostro.store.limits import Bounds, LimitsRow


async def read_limits(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    return json_answer(200, limits_document(*await desk.ledger.limits.of(account, user)))


async def replace_limits(request: Request, desk: Desk) -> Response:
    """All of them: what is absent is removed."""
    return await _set(request, desk, all_of_them=True)


async def change_limits(request: Request, desk: Desk) -> Response:
    """Those that are given: what is absent stays, null removes."""
    return await _set(request, desk, all_of_them=False)


async def _set(request: Request, desk: Desk, *, all_of_them: bool) -> Response:
    user = await desk.user(request)
    account = parse_id(request.path_params["account"], "accountId")
    fields = await read_fields(request)
    reason = text_of(fields, "reason")
    wishes = {name: _wish(fields, name) for name in Bounds._fields if all_of_them or name in fields}
    return json_answer(200, limits_document(*await desk.ledger.limits.set(user, account, wishes, reason)))


def _wish(fields: Fields, name: str) -> Limit | None:
    text = number_text_of(fields, name)
    if text is None:
        return None
    count = whole(bytes(fields[name])) if name == "hourly" else None
    return parse_limit(text if count is None else str(count), name)


def limits_document(row: AccountRow, found: LimitsRow) -> Document:
    """Amounts in major units; `hourly` is a number of transfers. `usage` is null while nothing is counted."""
    exponent = row.currency.exponent
    return {
        "success": True,
        "accountId": show_id(row.id),
        "currency": row.currency.code,
        "limits": {name: _shown(value, name, exponent) for name, value in found.bounds._asdict().items()},
        "usage": {
            name: {
                "used": _shown(usage.used, name, exponent),
                "remaining": _shown(found.remaining(name), name, exponent),
                "resetsAt": shown_time(usage.until),
            }
            for name, usage in found.usage.items()
        }
        or None,
    }


def _shown(value: int | None, name: str, exponent: int) -> object:
    return value if value is None or name == "hourly" else number(value, exponent)
