"""Standing orders over HTTP: making one, looking at it, changing it, calling it off."""

from collections.abc import Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import header_keys, read_fields
from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer, number
from nostro.api.paging import DEFAULT_LIMIT, LARGEST_LIMIT, whole_number
from nostro.api.standing_orders_sent import changes_of, choice, order_of
from nostro.api.transactions import REPLAYED
from nostro.domain.errors import InvalidField
from nostro.domain.event import shown_time
from nostro.domain.ids import ObjectId, parse_id, show_id
from nostro.domain.standing_order import MOST_TIMES, OrderStatus, Run, StandingOrder
from nostro.domain.user import Role
from nostro.ledger.standing_orders import dates
from nostro.store.users import User

MOST_UPCOMING = 50
USUAL_UPCOMING = 10
_RUNS_BESIDE_ORDER = 20


async def create(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    fields = await read_fields(request)
    dry_run = _dry_run(bytes(fields.get("dryRun", b"false")))
    terms = order_of(fields, header_keys(request), dry_run=dry_run)
    order, replayed = await desk.ledger.standing_orders.create(user.id, terms, dry_run=dry_run)
    document = order_document(order)
    if dry_run:
        for name in ("_id", "id", "idempotencyKey"):
            del document[name]
        shown = _moments(dates(order, order.created_at, USUAL_UPCOMING))
        answer = {"dryRun": True, "standingOrder": document, "upcoming": shown}
        return desk.answer(request, "order_previewed", answer)
    status, message = desk.dialect(request).answer("order_replayed" if replayed else "order_made")
    answer = {"message": message, "success": True, "standingOrder": document}
    return json_answer(status, answer, REPLAYED if replayed else None)


def _dry_run(raw: bytes) -> bool:
    if raw not in {b"true", b"false", b"null"}:
        raise InvalidField("dryRun", "must be true or false")
    return raw == b"true"


async def list_orders(request: Request, desk: Desk) -> Response:
    """The caller's own, newest first; `before` is the id that an earlier page ended with."""
    user = await desk.user(request)
    limit = whole_number(request, "limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    before, status = request.query_params.get("before"), request.query_params.get("status")
    page = await desk.ledger.standing_orders.page(
        user.id,
        before=parse_id(before, "before") if before else None,
        status=choice(status, "status", OrderStatus) if status else None,
        limit=limit,
    )
    return json_answer(
        200,
        {
            "success": True,
            "standingOrders": [order_document(order) for order in page],
            "limit": limit,
            "next": show_id(page[-1].id) if len(page) == limit else None,
        },
    )


async def one_order(request: Request, desk: Desk) -> Response:
    """With its latest occurrences."""
    user, order = await desk.user(request), _order_id(request)
    found = await desk.ledger.standing_orders.by_id(order, _owner_for(user))
    runs = await desk.ledger.standing_orders.runs(
        order, _owner_for(user), before=None, limit=_RUNS_BESIDE_ORDER
    )
    return _shown(found, {"runs": [run_document(run) for run in runs]})


async def list_runs(request: Request, desk: Desk) -> Response:
    """What became of its occurrences, newest first; `before` is the number that an earlier page ended with."""
    user, order = await desk.user(request), _order_id(request)
    limit = whole_number(request, "limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    before = whole_number(request, "before", 0, 1, MOST_TIMES)
    runs = await desk.ledger.standing_orders.runs(order, _owner_for(user), before=before or None, limit=limit)
    return json_answer(
        200,
        {
            "success": True,
            "runs": [run_document(run) for run in runs],
            "limit": limit,
            "next": runs[-1].occurrence if len(runs) == limit else None,
        },
    )


async def upcoming(request: Request, desk: Desk) -> Response:
    user, order = await desk.user(request), _order_id(request)
    count = whole_number(request, "count", USUAL_UPCOMING, 1, MOST_UPCOMING)
    due = await desk.ledger.standing_orders.upcoming(order, _owner_for(user), count)
    return json_answer(200, {"success": True, "upcoming": _moments(due)})


async def change(request: Request, desk: Desk) -> Response:
    user, order = await desk.user(request), _order_id(request)
    changes = changes_of(await read_fields(request))
    return _shown(await desk.ledger.standing_orders.amend(order, user.id, changes))


async def pause(request: Request, desk: Desk) -> Response:
    user, order = await desk.user(request), _order_id(request)
    return _shown(await desk.ledger.standing_orders.pause(order, user.id))


async def resume(request: Request, desk: Desk) -> Response:
    user, order = await desk.user(request), _order_id(request)
    return _shown(await desk.ledger.standing_orders.resume(order, user.id))


async def cancel(request: Request, desk: Desk) -> Response:
    user, order = await desk.user(request), _order_id(request)
    return _shown(await desk.ledger.standing_orders.cancel(order, user.id))


def _order_id(request: Request) -> ObjectId:
    return parse_id(request.path_params["order"], "standingOrderId")


def _owner_for(user: User) -> ObjectId | None:
    """Whose orders the user may look at: customers their own, everybody else all."""
    return user.id if user.role is Role.CUSTOMER else None


def _shown(order: StandingOrder, beside: Document | None = None) -> Response:
    return json_answer(200, {"success": True, "standingOrder": order_document(order)} | (beside or {}))


def order_document(order: StandingOrder) -> Document:
    shown, schedule = show_id(order.id), order.schedule
    return {
        "_id": shown,
        "id": shown,
        "owner": show_id(order.owner),
        "fromAccount": show_id(order.from_account),
        "toAccount": show_id(order.to_account),
        "amount": number(order.amount, order.currency.exponent),
        "currency": order.currency.code,
        "description": order.description,
        "at": _moment(schedule.at),
        "cron": schedule.cron,
        "everyDays": schedule.every_days,
        "everyMonths": schedule.every_months,
        "dayOfMonth": schedule.day_of_month,
        "timeZone": schedule.zone,
        "startsAt": shown_time(schedule.starts),
        "endsAt": _moment(order.ends_at),
        "times": order.times,
        "retry": {"maxAttempts": order.retry.attempts, "intervalMinutes": order.retry.minutes},
        "catchUp": order.catch_up.value,
        "status": order.status.value,
        "failureCode": order.failure_code,
        "occurrences": order.occurrence - 1,
        "nextRunAt": _moment(order.wakes_at),
        "idempotencyKey": order.key,
        "createdAt": shown_time(order.created_at),
        "updatedAt": shown_time(order.updated_at),
    }


def run_document(run: Run) -> Document:
    return {
        "occurrence": run.occurrence,
        "dueAt": shown_time(run.due_at),
        "status": run.status.value,
        "attempts": run.attempts,
        "code": run.code,
        "transaction": show_id(run.transaction) if run.transaction is not None else None,
        "nextAttemptAt": _moment(run.next_attempt_at),
    }


def _moment(when: datetime | None) -> str | None:
    return shown_time(when) if when is not None else None


def _moments(due: Sequence[datetime]) -> list[str]:
    return [shown_time(when) for when in due]
