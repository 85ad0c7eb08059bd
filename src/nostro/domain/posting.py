"""The posting rules: which transfers happen, and what is written when they do. Nothing else moves money.

`decide` takes requests in their order of arrival and the `Books`: everything they refer to, read under the
lock. Each request is judged by a flat list of guards in the published precedence (errors.PRECEDENCE); after
the last guard it must succeed. It is then posted into the books, so that the next request sees it. A batch
therefore decides exactly what the same requests would one by one
(tests/property/test_posting_model.py::test_a_batch_decides_what_the_same_requests_decide_one_by_one).

Transfers of one leg or many, initial funds, exchanges and the placing of holds are decided here; what becomes
of a hold in holds.py, what flows back in reversals.py. All of them end in `Books.move` and `Books.hold`.

There is no I/O here, no clock and no randomness: the store reads before, writes after, and PostgreSQL's
constraints stand behind it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from nostro.domain.account import Account
from nostro.domain.books import Books, Outcome, Policy, Posted
from nostro.domain.conditions import refusal_of_conditions
from nostro.domain.errors import (
    AccountNotFound,
    CurrencyMismatch,
    GroupRefused,
    InvalidAmount,
    InvalidField,
    NostroError,
    NotAccountOwner,
    NotSystemUser,
    PeriodClosed,
    SameAccount,
    SystemAccountNotFound,
    TokenRevoked,
    UserGone,
)
from nostro.domain.exchanging import halves_of
from nostro.domain.holds import decide_about_hold, expire
from nostro.domain.ids import ObjectId
from nostro.domain.money import MAX_MINOR, Amount
from nostro.domain.movements import (
    Movement,
    first_of,
    paid_by,
    refusal_of_limits,
    refusal_of_money,
    refusal_of_states,
)
from nostro.domain.replays import conflict_or_replay
from nostro.domain.requests import PLAIN, Request, TransferRequest
from nostro.domain.reversals import decide_reversal
from nostro.domain.splitting import split
from nostro.domain.transaction import Exchange, Kind, Leg, Operation, Transaction, TransactionStatus
from nostro.domain.user import Caller, Role


def decide(batch: Sequence[Request], books: Books, policy: Policy) -> list[Outcome]:
    """One outcome per request, in order. Refusals are returned, never raised: they harm no neighbour.

    Holds whose time is over are let go first, so that what they held can be spent in the same moment.
    """
    expire(books)
    return [_decide_one(request, books, policy) for request in batch]


def decide_together(batch: Sequence[Request], books: Books, policy: Policy) -> list[Outcome]:
    """All or nothing: with one refusal nothing of the batch stays in the books, and those who did nothing wrong
    get `GroupRefused`. The first refusal that is none is the culprit's."""
    outcomes = decide(batch, books, policy)
    if not any(isinstance(outcome, NostroError) for outcome in outcomes):
        return outcomes
    books.forget()
    return [outcome if isinstance(outcome, NostroError) else GroupRefused() for outcome in outcomes]


def _decide_one(request: Request, books: Books, policy: Policy) -> Outcome:
    caller = books.callers.get(request.claims.user)
    if caller is None:
        return UserGone()
    if request.claims.void(revoked=request.claims.digest in books.revoked, token_epoch=caller.token_epoch):
        return TokenRevoked()
    try:
        if isinstance(request, TransferRequest):
            return _decide_transfer(request, caller, books, policy)
        if request.operation is Operation.REVERSE:
            return decide_reversal(request, caller, books, policy)
        return decide_about_hold(request, caller, books, policy)
    except NostroError as refusal:
        return refusal


# To look a member up in its enum takes as long as a call, in Python 3.11; each request asks for these.
_INITIAL_FUNDS, _EXCHANGE = Operation.INITIAL_FUNDS, Operation.EXCHANGE


class _Wish(NamedTuple):
    """One movement as it was asked for: its accounts may not exist. `source_id` None: a settlement account."""

    source_id: ObjectId | None
    source: Account | None
    target_id: ObjectId
    target: Account | None
    amount: int
    places: int


def _decide_transfer(request: TransferRequest, caller: Caller, books: Books, policy: Policy) -> Outcome:
    if request.operation is _INITIAL_FUNDS and caller.role is not Role.SYSTEM:
        return NotSystemUser()
    wishes = _wishes_of(request, books, policy)
    for wish in wishes:
        if _is_one_account(wish):
            return SameAccount()

    earlier = books.recorded.get(request.scope)
    if earlier is not None:
        return conflict_or_replay(request, earlier)

    movements = _movements_of(wishes, request)
    if isinstance(movements, NostroError):
        return movements
    source, target, amount = movements[0]
    exchange = None
    if request.operation is _EXCHANGE:
        movements, exchange = halves_of(request, source, target, amount, books)
    refusal: NostroError | None = refusal_of_states(movements, policy)
    if refusal is None and request.terms is not PLAIN:
        refusal = _refusal_of_terms(request, source, target, caller, books)
    refusal = refusal or refusal_of_limits(movements, books) or refusal_of_money(movements)
    if refusal is not None:
        return refusal

    if request.terms.hold:
        return Posted(_set_aside(request, movements[0], books), replayed=False)
    return Posted(_post(request, movements, exchange, books), replayed=False)


def _wishes_of(request: TransferRequest, books: Books, policy: Policy) -> list[_Wish]:
    """What the request says of accounts and amounts, in minor units.

    Raises `InvalidAmount`, and `InvalidField` for a split that does not come out at the amount.
    """
    if request.terms.legs:
        wishes = [_wish(request, *leg, books, policy) for leg in request.terms.legs]
    else:
        wishes = [_wish(request, request.from_account, request.to_account, request.amount, books, policy)]
    if request.terms.split:
        wishes = _divided(wishes[0], request, books)
    if len(wishes) > 1 and sum(wish.amount for wish in wishes) > MAX_MINOR:
        raise InvalidAmount("The legs come to more than 10^15 minor units")
    return wishes


def _wish(
    request: TransferRequest,
    source_id: ObjectId | None,
    target_id: ObjectId,
    amount: Amount,
    books: Books,
    policy: Policy,
) -> _Wish:
    target = books.accounts.get(target_id)
    if source_id is not None:
        source = books.accounts.get(source_id)
    else:
        source = books.settlement_of(request.claims.user, target.currency) if target else None
    places = _places(request, source_id, source, target, policy)
    return _Wish(source_id, source, target_id, target, amount.minor_units(places), places)


def _places(
    request: TransferRequest,
    source_id: ObjectId | None,
    source: Account | None,
    target: Account | None,
    policy: Policy,
) -> int:
    """The places the amount may have: those of the paying account, if the caller may know anything of it."""
    if source_id is None:
        return target.exponent if target is not None else policy.house_exponent
    if source is not None and source.owner == request.claims.user:
        return source.exponent
    return policy.house_exponent


def _divided(whole: _Wish, request: TransferRequest, books: Books) -> list[_Wish]:
    """One wish for each receiver of a split who gets anything."""
    parts = request.terms.split
    amounts = split(whole.amount, whole.places, parts)
    return [
        whole._replace(target_id=part.account, target=books.accounts.get(part.account), amount=amount)
        for part, amount in zip(parts, amounts, strict=True)
        if amount > 0
    ]


def _is_one_account(wish: _Wish) -> bool:
    source_id, source, target_id, target, _, _ = wish
    return source_id == target_id or (source is not None and source is target)


def _movements_of(wishes: Sequence[_Wish], request: TransferRequest) -> list[Movement] | NostroError:
    """What the wishes come to, or the first refusal if any of them comes to nothing."""
    movements: list[Movement] = []
    refusals: list[NostroError] = []
    for wish in wishes:
        found = _movement_of(wish, request, wishes[0])
        if isinstance(found, Movement):
            movements.append(found)
        else:
            refusals.append(found)
    return first_of(refusals) if refusals else movements


def _movement_of(wish: _Wish, request: TransferRequest, first: _Wish) -> Movement | NostroError:
    """What the wish comes to, or why it comes to nothing. All legs are in the currency of the first."""
    source_id, source, _, target, amount, _ = wish
    if target is None:
        return AccountNotFound(role="to")
    if source is None:
        return SystemAccountNotFound() if source_id is None else AccountNotFound(role="from")
    if source.owner != request.claims.user:
        return NotAccountOwner()
    if request.operation is not _EXCHANGE and (
        source.currency != target.currency or (first.source and source.currency != first.source.currency)
    ):
        return CurrencyMismatch()
    return Movement(source, target, amount)


def _refusal_of_terms(
    request: TransferRequest, source: Account, target: Account, caller: Caller, books: Books
) -> NostroError | None:
    happened = request.terms.effective_at
    if happened is not None:
        if happened > books.now:
            return InvalidField("effectiveAt", "must not be in the future")
        closed = [books.closed_until.get(account.currency) for account in (source, target)]
        closed_until = max((until for until in closed if until is not None), default=None)
        may_restate = request.terms.restate and caller.role in {Role.SYSTEM, Role.OPERATOR}
        if closed_until is not None and happened < closed_until and not may_restate:
            return PeriodClosed(closedUntil=closed_until)
    return refusal_of_conditions(request.terms.conditions, source, target, caller)


def _post(
    request: TransferRequest, movements: Sequence[Movement], exchange: Exchange | None, books: Books
) -> Transaction:
    """Write the transaction and its entries into the books. Every guard has passed: it must succeed."""
    transaction = _transaction_of(request, movements, exchange, books)
    books.record(transaction)
    for source, target, amount in movements:
        books.move(transaction, source, target, amount)
    _count(movements, books)
    return transaction


def _set_aside(request: TransferRequest, movement: Movement, books: Books) -> Transaction:
    """Write a hold: the money stays where it is, but nothing else can have it."""
    transaction = _transaction_of(request, [movement], None, books)
    transaction.status = TransactionStatus.PENDING
    if request.terms.expires_in_s is not None:
        transaction.expires_at = books.now + timedelta(seconds=request.terms.expires_in_s)
    books.record(transaction)
    books.hold(transaction, movement.source, movement.amount)
    books.go_on(transaction)
    _count([movement], books)
    return transaction


def _count(movements: Sequence[Movement], books: Books) -> None:
    if books.limits:
        for source, amount in paid_by(movements):
            books.count(source, amount)


_KIND_OF = {
    Operation.TRANSFER: Kind.TRANSFER,
    Operation.INITIAL_FUNDS: Kind.INITIAL_FUNDS,
    Operation.EXCHANGE: Kind.EXCHANGE,
}


def _transaction_of(
    request: TransferRequest, movements: Sequence[Movement], exchange: Exchange | None, books: Books
) -> Transaction:
    first, terms = movements[0], request.terms
    transaction = Transaction(
        id=request.id,
        kind=Kind.HOLD if terms.hold else _KIND_OF[request.operation],
        operation=request.operation,
        requested_by=request.claims.user,
        key=request.key,
        digest=request.digest,
        from_account=first.source.id,
        to_account=first.target.id,
        amount=first.amount,
        currency=first.source.currency,
        exponent=first.source.exponent,
        created_at=books.now,
    )
    if terms is not PLAIN:
        transaction.notes = terms.notes
        transaction.effective_at = _earlier(terms.effective_at, books.now)
    if len(movements) > 1:
        transaction.legs = tuple(
            Leg(number, source.id, target.id, amount, source.currency)
            for number, (source, target, amount) in enumerate(movements, start=1)
        )
        transaction.amount = sum(movement.amount for movement in movements)
    if exchange is not None:
        transaction.amount = first.amount
        transaction.exchange, transaction.to_account = exchange, movements[-1].target.id
    return transaction


def _earlier(happened: datetime | None, now: datetime) -> datetime | None:
    """None unless it happened before it is recorded."""
    return happened if happened is not None and happened < now else None
