"""What becomes of a hold: captured in one part or several, voided, extended, or expired.

A hold's summary (`Transaction.captured`, `let_go`, `status`) is guarded by the lock of the account whose money
it holds, as that account's head is (tests/concurrency/test_hold_races.py). A capture never fails for lack of
money: what it takes is what the hold had set aside.
"""

from datetime import timedelta

from nostro.domain.account import Account
from nostro.domain.books import Books, Outcome, Policy, Posted
from nostro.domain.errors import (
    AlreadyCaptured,
    AlreadyVoided,
    ExceedsHeldAmount,
    HoldExpired,
    NostroError,
    NotAccountOwner,
    NotAHold,
    NotFound,
)
from nostro.domain.movements import Movement, refusal_of_money, refusal_of_states
from nostro.domain.replays import conflict_or_replay
from nostro.domain.requests import FollowUp
from nostro.domain.transaction import Kind, Operation, Transaction, TransactionStatus
from nostro.domain.user import Caller, Role

VOIDED, EXPIRED = "voided", "expired"
_KINDS = {Operation.CAPTURE: Kind.CAPTURE, Operation.VOID: Kind.VOID, Operation.EXTEND: Kind.EXTENSION}


def decide_about_hold(request: FollowUp, caller: Caller, books: Books, policy: Policy) -> Outcome:
    """A capture, a void or an extension. The payer may do each, the receiver capture and void, an operator all.

    Raises `InvalidAmount` for more places than the currency has.
    """
    hold = books.stories.get(request.parent)
    if hold is None:
        return NotFound("Transaction not found")
    source, target = books.accounts[hold.from_account], books.accounts[hold.to_account]
    if caller.role is not Role.OPERATOR and caller.id not in {source.owner, target.owner, hold.requested_by}:
        return NotFound("Transaction not found")
    asked = request.amount.minor_units(hold.exponent) if request.amount is not None else None

    earlier = books.recorded.get(request.scope)
    if earlier is not None:
        return conflict_or_replay(request, earlier)

    if request.operation is Operation.EXTEND and caller.role is not Role.OPERATOR and caller.id != source.owner:
        return NotAccountOwner("Only the payer or an operator may extend a hold")
    refusal = _refusal_of_state(hold)
    if refusal is not None:
        return refusal
    if request.operation is Operation.CAPTURE:
        return _capture(request, hold, asked, source, target, books, policy)
    if request.operation is Operation.VOID:
        void = _row(request, hold, hold.left, books)
        _let_go(void, hold, source, hold.left, VOIDED, books)
        return Posted(void, replayed=False)
    return Posted(_extend(request, hold, books), replayed=False)


def _refusal_of_state(hold: Transaction) -> NostroError | None:
    if hold.kind is not Kind.HOLD:
        return NotAHold()
    if hold.status is TransactionStatus.PENDING:
        return None
    return {VOIDED: AlreadyVoided(), EXPIRED: HoldExpired()}.get(hold.failure_reason or "", AlreadyCaptured())


def _capture(
    request: FollowUp,
    hold: Transaction,
    asked: int | None,
    source: Account,
    target: Account,
    books: Books,
    policy: Policy,
) -> Outcome:
    """Without an amount all that is left. `final`: whatever is not captured is let go."""
    amount = hold.left if asked is None else asked
    if amount > hold.left:
        return ExceedsHeldAmount(held=hold.left, currency=hold.currency, exponent=hold.exponent)
    movements = [Movement(source, target, amount)]
    refusal = refusal_of_states(movements, policy) or refusal_of_money(movements, overdraw=True)
    if refusal is not None:
        return refusal

    capture = _row(request, hold, amount, books)
    hold.captured += amount
    books.hold(capture, source, -amount)
    books.move(capture, source, target, amount)
    if request.final and hold.left:
        capture.released = hold.left
        _let_go(capture, hold, source, hold.left, None, books)
    elif not hold.left:
        hold.status = TransactionStatus.COMPLETED
    books.go_on(hold)
    return Posted(capture, replayed=False)


def _let_go(
    row: Transaction, hold: Transaction, source: Account, amount: int, reason: str | None, books: Books
) -> None:
    """The hold ends: `amount`, all that is left of it, can be spent again."""
    hold.let_go += amount
    hold.status = TransactionStatus.COMPLETED if hold.captured else TransactionStatus.FAILED
    hold.failure_reason = reason
    books.hold(row, source, -amount)
    books.give_back(source, amount, hold.created_at)
    books.go_on(hold)


def _extend(request: FollowUp, hold: Transaction, books: Books) -> Transaction:
    extension = _row(request, hold, hold.left, books)
    extension.expires_at = hold.expires_at = books.now + timedelta(seconds=request.expires_in_s)
    books.go_on(hold)
    return extension


def expire(books: Books) -> None:
    """Write the EXPIRY of every hold whose time is over, in the name of who asked for the hold."""
    for hold in books.expired:
        assert books.new_id is not None, "whoever reads expired holds brings ids for their expiries"
        expiry = _row_about(hold, Kind.EXPIRY, Operation.EXPIRE, hold.left, books)
        expiry.id, expiry.key = books.new_id(), hold.id.hex()
        books.record(expiry)
        _let_go(expiry, hold, books.accounts[hold.from_account], hold.left, EXPIRED, books)
    books.expired = []


def _row(request: FollowUp, hold: Transaction, amount: int, books: Books) -> Transaction:
    row = _row_about(hold, _KINDS[request.operation], request.operation, amount, books)
    row.id, row.requested_by = request.id, request.claims.user
    row.key, row.digest, row.notes = request.key, request.digest, request.notes
    books.record(row)
    return row


def _row_about(hold: Transaction, kind: Kind, operation: Operation, amount: int, books: Books) -> Transaction:
    return Transaction(
        id=hold.id,
        kind=kind,
        operation=operation,
        requested_by=hold.requested_by,
        key="",
        digest=b"",
        from_account=hold.from_account,
        to_account=hold.to_account,
        amount=amount,
        currency=hold.currency,
        exponent=hold.exponent,
        created_at=books.now,
        parent=hold.position,
        parent_id=hold.id,
    )
