"""An example of every type of event, built by the code that builds real ones, from rows as the journal holds
them."""

from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID

from nostro.domain.event import Event
from nostro.domain.ids import ObjectId
from nostro.ledger.event_building import build_events
from nostro.store.events import EntryRow, HappeningRow, JournalRows, TransactionRow

_NOON = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
_SOURCE = f"urn:uuid:{UUID(int=0x6F9619FF8B86D011B42D00C04FC964FF)}"


def _id(number: int) -> ObjectId:
    return ObjectId(bytes.fromhex(f"691f00a1{number:016x}"))


_ANN, _BOB, _OPERATOR = _id(1), _id(2), _id(3)
_ANN_ACCOUNT, _BOB_ACCOUNT = _id(0x11), _id(0x12)

_RENT = TransactionRow(
    position=2,
    created_at=_NOON,
    kind="TRANSFER",
    id=_id(0x21),
    requested_by=_ANN,
    idempotency_key="rent-november",
    amount=1050,
    currency="INR",
    exponent=2,
    from_account=_ANN_ACCOUNT,
    to_account=_BOB_ACCOUNT,
    from_owner=_ANN,
    to_owner=_BOB,
    description="Rent for November",
    reference="FLAT-12",
    metadata='{"lease":"2026-11"}',
)
_FLOWED_BACK = _RENT._replace(
    position=3,
    kind="REVERSAL",
    id=_id(0x22),
    idempotency_key="overpaid",
    amount=50,
    from_account=_BOB_ACCOUNT,
    to_account=_ANN_ACCOUNT,
    from_owner=_BOB,
    to_owner=_ANN,
    requested_by=_BOB,
    parent=_RENT.id,
    description="Half a rupee too much",
    reference=None,
    metadata=None,
)
_HOLD = _RENT._replace(
    position=4,
    kind="HOLD",
    id=_id(0x23),
    idempotency_key="deposit",
    held_after=1050,
    payer_balance=9000,
    expires_at=_NOON + timedelta(days=7),
    description="Deposit",
    reference=None,
    metadata=None,
)
_OF_HOLD = _HOLD._replace(id=_id(0x24), parent=_HOLD.id, held_after=0, expires_at=None, description=None)
_EXTENSION = _OF_HOLD._replace(
    position=5,
    kind="EXTENSION",
    idempotency_key="another-week",
    held_after=None,
    expires_at=_NOON + timedelta(days=14),
)
_CAPTURE = _OF_HOLD._replace(
    position=6, kind="CAPTURE", idempotency_key="damage", amount=800, released=250, requested_by=_BOB
)
_VOID = _OF_HOLD._replace(position=7, kind="VOID", idempotency_key="all-well", requested_by=_BOB)
_EXPIRY = _OF_HOLD._replace(position=8, kind="EXPIRY", idempotency_key="expiry")

_OPENED = HappeningRow(
    position=1,
    created_at=_NOON,
    kind="ACCOUNT_OPENED",
    actor=_ANN,
    user_id=_ANN,
    account_id=_ANN_ACCOUNT,
    owner=_ANN,
    currency="INR",
    exponent=2,
    details={"currency": "INR", "settlement": False},
)
_REGISTERED = _OPENED._replace(
    kind="USER_REGISTERED",
    account_id=None,
    owner=None,
    currency=None,
    exponent=None,
    details={"role": "CUSTOMER"},
)
_ORDER = _id(0x31).hex()
_WEBHOOK = _id(0x41).hex()
_ORDERS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("CREATED", "ACTIVE", {}),
    ("CHANGED", "ACTIVE", {}),
    ("PAUSED", "PAUSED", {}),
    ("RESUMED", "ACTIVE", {}),
    ("CANCELLED", "CANCELLED", {}),
    ("COMPLETED", "COMPLETED", {}),
    ("FAILED", "ACTIVE", {"occurrence": 3, "attempts": 5, "code": "insufficient_funds"}),
)
_PERIOD: dict[str, object] = {"currency": "INR", "reason": "October was reported"}
_NO_LIMITS = dict.fromkeys(("ceiling", "single", "daily", "monthly", "hourly")) | {"floor": 0}
_HAPPENINGS = (
    _REGISTERED,
    _REGISTERED._replace(kind="PASSWORD_CHANGED", details={}),
    _OPENED,
    _OPENED._replace(
        kind="ACCOUNT_STATUS_CHANGED",
        actor=_OPERATOR,
        details={"before": "ACTIVE", "after": "FROZEN", "reason": "Reported as stolen"},
    ),
    _OPENED._replace(
        kind="ACCOUNT_DETAILS_CHANGED",
        details={"before": {"name": None}, "after": {"name": "Rent"}},
    ),
    _OPENED._replace(
        kind="LIMITS_CHANGED",
        actor=_OPERATOR,
        details={
            "before": _NO_LIMITS,
            "after": _NO_LIMITS | {"single": 50_000, "hourly": 20},
            "reason": "Asked for by the owner",
        },
    ),
    _OPENED._replace(
        kind="STATEMENT_READY", actor=None, details={"since": "2026-11-01", "until": "2026-11-30"}
    ),
    *(
        _OPENED._replace(
            kind=f"STANDING_ORDER_{what}",
            actor=None if what in {"COMPLETED", "FAILED"} else _ANN,
            details={"order": _ORDER, "status": status, "to": _BOB_ACCOUNT.hex(), "amount": "10.5"} | more,
        )
        for what, status, more in _ORDERS
    ),
    *(
        _REGISTERED._replace(kind=kind, details={"webhook": _WEBHOOK})
        for kind in ("WEBHOOK_CREATED", "WEBHOOK_CHANGED", "WEBHOOK_SECRET_ROTATED", "WEBHOOK_DELETED")
    ),
    _REGISTERED._replace(
        kind="WEBHOOK_DISABLED",
        actor=None,
        details={"webhook": _WEBHOOK, "cause": "The receiver answered 410 Gone"},
    ),
    _REGISTERED._replace(
        kind="RATE_CHANGED",
        details={"base": "INR", "quote": "USD", "before": "0.0119", "after": "0.0121"},
    ),
    *(
        _REGISTERED._replace(kind=kind, actor=_OPERATOR, user_id=None, details=details)
        for kind, details in (
            ("CURRENCY_REGISTERED", {"code": "POINTS", "exponent": 0, "name": "Loyalty points"}),
            ("PERIOD_CLOSED", _PERIOD | {"before": None, "after": "2026-11-01T00:00:00.000Z"}),
            ("PERIOD_REOPENED", _PERIOD | {"before": "2026-11-01T00:00:00.000Z", "after": None}),
        )
    ),
)


def _entries(row: TransactionRow, paid: int, received: int) -> list[EntryRow]:
    """The two sides of `row`, and what each account had afterwards."""
    sides = (
        (row.from_account, row.from_owner, "DEBIT", paid),
        (row.to_account, row.to_owner, "CREDIT", received),
    )
    return [
        EntryRow(row.position, account, owner, 2, direction, row.amount, after, row.currency, row.exponent)
        for account, owner, direction, after in sides
    ]


def _build(row: TransactionRow | HappeningRow, entries: list[EntryRow] | None = None) -> Event:
    rows = (
        JournalRows([row], entries or [], [], [])
        if isinstance(row, TransactionRow)
        else JournalRows([], [], [], [row])
    )
    (event,) = build_events(rows, _SOURCE)
    return event


@cache
def examples() -> dict[str, Event]:
    """By type."""
    events = [
        _build(_RENT, _entries(_RENT, 8950, 1050)),
        _build(_FLOWED_BACK, _entries(_FLOWED_BACK, 1000, 9000)),
        _build(_HOLD),
        _build(_EXTENSION),
        _build(_CAPTURE, _entries(_CAPTURE, 8200, 1800)),
        _build(_VOID),
        _build(_EXPIRY),
        *(_build(row) for row in _HAPPENINGS),
    ]
    return {event.type: event for event in events}
