"""Which events become which letters, and to whom. Pure: what has to be looked up was looked up before.

Whoever has an account on either side gets one letter per side: the payer that it was sent, the receiver that
it arrived, each with the balance of their own account right after the event. System users are machines; what
their settlement accounts do is written to nobody. A hold is no news until it is captured (money moved) or
comes to nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from nostro.domain.event import Event
from nostro.domain.ids import ObjectId
from nostro.domain.mail import MailKind
from nostro.followers.mail.facts import Letter, Money, Movement, Notice, Side, Statement
from nostro.store.mail import NamedAccount

_ABOUT_PEOPLE = {
    "user.registered": MailKind.WELCOME,
    "user.password_reset_requested": MailKind.PASSWORD_RESET,
    "user.password_changed": MailKind.PASSWORD_CHANGED,
}
_MOVED = frozenset({"transaction.completed", "hold.captured"})
_REVERSED = "transaction.reversed"
_RELEASED = frozenset({"hold.voided", "hold.expired"})
_STATEMENT = "statement.ready"

Accounts = Mapping[ObjectId, NamedAccount]


class Addressed(NamedTuple):
    """A letter, and the delivery's target: one name for each reader and side of an event."""

    event: Event
    target: str
    reader: ObjectId
    letter: Letter


def interesting(events: Iterable[Event]) -> list[Event]:
    """Those that somebody may be written to about."""
    known = {*_ABOUT_PEOPLE, *_MOVED, *_RELEASED, _REVERSED, _STATEMENT}
    return [event for event in events if event.type in known]


def about_people(events: Iterable[Event]) -> list[Event]:
    """Those whose letters nobody may do without."""
    return [event for event in events if event.type in _ABOUT_PEOPLE]


def ended_holds(events: Iterable[Event]) -> list[ObjectId]:
    """The holds that the events let go, of which some had been captured in part."""
    return [_id(event.data["transaction"]["parent"]) for event in events if event.type in _RELEASED]


def letters_of(event: Event, accounts: Accounts, failed: set[ObjectId]) -> Iterator[Addressed]:
    """`failed`: the holds that came to nothing."""
    if event.type in _ABOUT_PEOPLE:
        kind = _ABOUT_PEOPLE[event.type]
        for user in event.users:
            yield _addressed(event, user, user.hex(), kind, Notice(event.time))
    elif event.type in _MOVED:
        yield from _of_entries(event, accounts, {"DEBIT": MailKind.SENT, "CREDIT": MailKind.RECEIVED})
    elif event.type == _REVERSED:
        yield from _of_entries(event, accounts, {"DEBIT": MailKind.REVERSED, "CREDIT": MailKind.REVERSED})
    elif event.type in _RELEASED and _id(event.data["transaction"]["parent"]) in failed:
        yield _of_failed_hold(event, accounts)
    elif event.type == _STATEMENT:
        yield from _of_statement(event, accounts)


def _of_entries(event: Event, accounts: Accounts, kinds: Mapping[str, MailKind]) -> Iterator[Addressed]:
    """One letter per account and direction, however many entries it has there."""
    for direction, kind in kinds.items():
        entries = [entry for entry in event.data["entries"] if entry["direction"] == direction]
        for account in dict.fromkeys(_id(entry["account"]) for entry in entries):
            own = [entry for entry in entries if _id(entry["account"]) == account]
            others = tuple(_shown(accounts[other]) for other in _opposite(event, account, direction))
            facts = _movement(event, accounts[account], others, own)
            yield _side(event, accounts[account], direction, kind, facts)


def _opposite(event: Event, account: ObjectId, direction: str) -> list[ObjectId]:
    """Who paid `account`, or was paid by it. Of many legs only its own: the others are none of its business.

    The legs of an exchange go by way of the system user; what counts are its two ends.
    """
    here, there = ("fromAccount", "toAccount") if direction == "DEBIT" else ("toAccount", "fromAccount")
    if "legs" in event.data and event.data["transaction"]["kind"] != "EXCHANGE":
        found = [_id(leg[there]) for leg in event.data["legs"] if _id(leg[here]) == account]
    else:
        found = [_id(event.data["transaction"][side]) for side in (there, here)]
    return [other for other in dict.fromkeys(found) if other != account]


def _movement(
    event: Event, own: NamedAccount, others: tuple[Side, ...], entries: Sequence[dict[str, Any]]
) -> Movement:
    transaction = event.data["transaction"]
    return Movement(
        time=event.time,
        incoming=entries[0]["direction"] == "CREDIT",
        amount=_money(sum(entry["amount"] for entry in entries), own),
        balance=_money(max(entries, key=lambda entry: entry["seq"])["balanceAfter"], own),
        own=_shown(own),
        others=others,
        transaction=transaction["id"],
        description=transaction.get("description", ""),
        reference=transaction.get("reference", ""),
        reversed=transaction["parent"] if event.type == _REVERSED else "",
        rate=_rate(transaction),
    )


def _rate(transaction: dict[str, Any]) -> str:
    if "rate" not in transaction:
        return ""
    return f"1 {transaction['currency']} = {transaction['rate']:f} {transaction['counterCurrency']}"


def _of_failed_hold(event: Event, accounts: Accounts) -> Addressed:
    transaction = event.data["transaction"]
    payer, receiver = accounts[_id(transaction["fromAccount"])], accounts[_id(transaction["toAccount"])]
    facts = Movement(
        time=event.time,
        incoming=False,
        amount=_money(transaction["amount"], payer),
        own=_shown(payer),
        others=(_shown(receiver),),
        transaction=transaction["parent"],
        balance=_money(event.data["hold"]["balanceAfter"], payer),
        description=transaction.get("description", ""),
        reference=transaction.get("reference", ""),
        reason="It expired" if event.type == "hold.expired" else "It was cancelled",
    )
    return _side(event, payer, "DEBIT", MailKind.FAILED, facts)


def _of_statement(event: Event, accounts: Accounts) -> Iterator[Addressed]:
    details = event.data["details"]
    for account in event.accounts:
        facts = Statement(
            event.time,
            _shown(accounts[account]),
            date.fromisoformat(details["since"]),
            date.fromisoformat(details["until"]),
        )
        yield _side(event, accounts[account], "STATEMENT", MailKind.STATEMENT_READY, facts)


def _side(event: Event, own: NamedAccount, side: str, kind: MailKind, facts: Movement | Statement) -> Addressed:
    return _addressed(event, own.owner, f"{own.owner.hex()}:{own.id.hex()}:{side}", kind, facts)


def _addressed(
    event: Event, reader: ObjectId, target: str, kind: MailKind, facts: Notice | Movement | Statement
) -> Addressed:
    return Addressed(event, target, reader, Letter(kind, reader.hex(), facts))


def _money(amount: Decimal, account: NamedAccount) -> Money:
    """`amount` in major units, in minor units of the account's currency."""
    code, exponent = account.currency.code, account.currency.exponent
    return Money(int(amount.scaleb(exponent)), code, exponent)


def _shown(account: NamedAccount) -> Side:
    return Side(account.id.hex(), account.owner_name, account.name)


def _id(shown: str) -> ObjectId:
    return ObjectId(bytes.fromhex(shown))
