"""The people, accounts and transactions of the examples, shown by the code that shows real ones."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from nostro.api.account_states import event_document
from nostro.api.currencies import currency_document, rate_document
from nostro.api.documents import (
    Document,
    account_document,
    encode,
    follower_document,
    seen_document,
    transaction_document,
)
from nostro.api.documents import user_document as _user_document
from nostro.api.limits import limits_document
from nostro.domain.account import AccountStatus
from nostro.domain.ids import ObjectId
from nostro.domain.money import Currency
from nostro.domain.transaction import (
    Exchange,
    Kind,
    Leg,
    Notes,
    Operation,
    Transaction,
    TransactionStatus,
)
from nostro.domain.user import Role
from nostro.ledger.event_examples import examples
from nostro.store.accounts import AccountRow
from nostro.store.currencies import CurrencyRow, RateRow
from nostro.store.documents import encode_document
from nostro.store.followers import FollowerState
from nostro.store.limits import Bounds, LimitsRow, Usage
from nostro.store.trail import AccountEvent
from nostro.store.transactions import SeenTransaction
from nostro.store.users import User

NOON = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
RUPEE = Currency("INR", 2)

# The signature is of a key nobody has: an example must never be a token that works.
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VySWQiOiI2OTFmMDBhMTAwMDAwMDAwMDAwMDAwMDEifQ.c2lnbmF0dXJl"  # noqa: S105


def _id(number: int) -> ObjectId:
    return ObjectId(bytes.fromhex(f"691f00a1{number:016x}"))


def _user(number: int, name: str, role: Role) -> User:
    return User(_id(number), f"{name.lower()}@example.com", name, "", role, 0.0, NOON)


def _account(number: int, owner: User, balance: int, name: str | None = None) -> AccountRow:
    return AccountRow(
        id=_id(number),
        owner=owner.id,
        currency=RUPEE,
        status=AccountStatus.ACTIVE,
        balance=balance,
        held=0,
        name=name,
        settlement=False,
        created_at=NOON,
        updated_at=NOON,
    )


def _transaction(kind: Kind, key: str, source: ObjectId, target: ObjectId, amount: int) -> Transaction:
    return Transaction(
        id=_id(0x21 if kind is Kind.TRANSFER else 0x22),
        kind=kind,
        operation=Operation.INITIAL_FUNDS if kind is Kind.INITIAL_FUNDS else Operation.TRANSFER,
        requested_by=_ANN.id,
        key=key,
        digest=b"",
        from_account=source,
        to_account=target,
        amount=amount,
        currency=RUPEE.code,
        exponent=RUPEE.exponent,
        created_at=NOON,
        position=2 if kind is Kind.TRANSFER else 1,
    )


def plain(document: Document) -> Any:
    """As a reader of the JSON sees it."""
    return msgspec.json.decode(encode(document))


_ANN = _user(1, "Ann", Role.CUSTOMER)
_BOB = _user(2, "Bob", Role.CUSTOMER)
_ANN_ROW, _BOB_ROW = _account(0x11, _ANN, 8950), _account(0x12, _BOB, 1050, "Rent")
RENT = _transaction(Kind.TRANSFER, "rent-november", _ANN_ROW.id, _BOB_ROW.id, 1050)
_SEEN = SeenTransaction(RENT, _ANN.id, _BOB.id, _ANN.name, _ANN.email, _BOB.name, _BOB.email)

ANN_ID = _ANN.id.hex()
OPERATOR_ID = _id(0x31).hex()
ANN_ACCOUNT_ID = _ANN_ROW.id.hex()
BOB_ACCOUNT_ID = _BOB_ROW.id.hex()
SHOP_ACCOUNT_ID = _id(0x15).hex()
DOLLAR_ACCOUNT_ID = _id(0x13).hex()
TRANSFER_ID = RENT.id.hex()

ANN: Any = plain(_user_document(_ANN))
ANN_ACCOUNT: Any = plain(account_document(_ANN_ROW))
NEW_ACCOUNT: Any = plain(account_document(_ANN_ROW._replace(balance=0)))
DESCRIBED_ACCOUNT: Any = plain(
    account_document(
        _ANN_ROW._replace(name="Rent", reference="FLAT-12", metadata='{"lease": "2026-11", "rooms": 2}')
    )
)
FROZEN_ACCOUNT: Any = plain(account_document(_ANN_ROW._replace(status=AccountStatus.FROZEN)))
FROZEN_EVENT: Any = plain(
    event_document(
        AccountEvent(
            7,
            "ACCOUNT_STATUS_CHANGED",
            NOON,
            _id(0x31),
            {
                "before": msgspec.Raw(b'"ACTIVE"'),
                "after": msgspec.Raw(b'"FROZEN"'),
                "reason": msgspec.Raw(b'"Card reported stolen"'),
            },
        ),
        _ANN_ROW,
        _user(0x31, "Olga", Role.OPERATOR),
    )
)
LIMITS: Any = plain(
    limits_document(
        _ANN_ROW,
        LimitsRow(
            Bounds(floor=-50_000, ceiling=None, single=100_000, daily=200_000, monthly=None, hourly=20),
            {
                "hourly": Usage(1, NOON.replace(hour=13, microsecond=0)),
                "daily": Usage(1050, NOON.replace(day=21, hour=0, microsecond=0)),
                "monthly": Usage(1050, NOON.replace(month=12, day=1, hour=0, microsecond=0)),
            },
        ),
    )
)
POINTS: Any = plain(currency_document(CurrencyRow("POINTS", 0, "Loyalty points", True)))
RUPEES_TO_DOLLARS: Any = plain(rate_document(RateRow("INR", "USD", Decimal("0.0119"), _id(0x10), NOON)))
TRANSFER: Any = plain(transaction_document(RENT))
SEEN_TRANSFER: Any = plain(seen_document(_SEEN, _ANN))
FUNDS: Any = plain(
    transaction_document(_transaction(Kind.INITIAL_FUNDS, "opening-gift", _id(0x10), _ANN_ROW.id, 10_000))
)

_HOLD = replace(
    _transaction(Kind.HOLD, "deposit-november", _ANN_ROW.id, _BOB_ROW.id, 5000),
    id=_id(0x23),
    operation=Operation.TRANSFER,
    position=3,
    status=TransactionStatus.PENDING,
    expires_at=NOON + timedelta(days=7),
    held_after=5000,
)


def _about(parent: Transaction, kind: Kind, operation: Operation, number: int, **more: Any) -> Any:
    """A row about `parent`, as it is shown."""
    row = _transaction(kind, f"{kind.value.lower()}-1", parent.from_account, parent.to_account, 2000)
    row = replace(row, id=_id(number), operation=operation, position=4, parent=3, parent_id=parent.id)
    return plain(transaction_document(replace(row, **more)))


HOLD: Any = plain(transaction_document(_HOLD))
CAPTURE: Any = _about(_HOLD, Kind.CAPTURE, Operation.CAPTURE, 0x24, released=3000)
VOID: Any = _about(_HOLD, Kind.VOID, Operation.VOID, 0x25)
EXTENSION: Any = _about(_HOLD, Kind.EXTENSION, Operation.EXTEND, 0x26, expires_at=NOON + timedelta(days=14))
REVERSAL: Any = _about(
    RENT,
    Kind.REVERSAL,
    Operation.REVERSE,
    0x27,
    from_account=_BOB_ROW.id,
    to_account=_ANN_ROW.id,
    notes=Notes("The heating was cold"),
)
EXCHANGED: Any = plain(
    transaction_document(
        replace(
            _transaction(Kind.EXCHANGE, "dollars-november", _ANN_ROW.id, _id(0x13), 100_000),
            id=_id(0x28),
            exchange=Exchange(1190, "USD", 2, Decimal("0.0119")),
            legs=(
                Leg(1, _ANN_ROW.id, _id(0x10), 100_000, "INR"),
                Leg(2, _id(0x14), _id(0x13), 1190, "USD"),
            ),
        )
    )
)
SPLIT: Any = plain(
    transaction_document(
        replace(
            _transaction(Kind.TRANSFER, "lamp", _ANN_ROW.id, _BOB_ROW.id, 10_000),
            id=_id(0x29),
            legs=(
                Leg(1, _ANN_ROW.id, _BOB_ROW.id, 9750, "INR"),
                Leg(2, _ANN_ROW.id, _id(0x15), 250, "INR"),
            ),
        )
    )
)

_EVENT = examples()["transaction.completed"]
EVENT: Any = msgspec.json.decode(encode_document(_EVENT.document(_EVENT.users[0])))
FOLLOWER: Any = plain(
    follower_document(FollowerState("webhooks", 1204, 3, 0.4, 12, 1, None, "answered 500", NOON))
)
