"""Reversals: part or all of a movement flows back, in as many steps as are wanted, never more than is left.

A reversal cannot be reversed: it is corrected by a new transfer. Each leg flows back in proportion to what is
left of it, so that the last step leaves nothing of any leg.
"""

from collections.abc import Sequence

from nostro.domain.books import Books, Outcome, Policy, Posted
from nostro.domain.errors import (
    AlreadyReversed,
    ExceedsReversibleAmount,
    InvalidField,
    NotFound,
    NotOperator,
    NotReceiver,
    NotReversible,
)
from nostro.domain.ids import ObjectId
from nostro.domain.movements import Movement, refusal_of_money, refusal_of_states
from nostro.domain.replays import conflict_or_replay
from nostro.domain.requests import FollowUp
from nostro.domain.splitting import divide
from nostro.domain.transaction import REVERSIBLE, Exchange, Kind, Leg, Transaction, TransactionStatus
from nostro.domain.user import Caller, Role


def decide_reversal(request: FollowUp, caller: Caller, books: Books, policy: Policy) -> Outcome:
    """Who received all of the money may let it flow back (a refund), and an operator; never the sender alone.

    Raises `InvalidAmount` for more places than the currency has.
    """
    story = books.stories.get(request.parent)
    is_operator = caller.role is Role.OPERATOR
    if story is None or not (is_operator or caller.id in _parties(story, books)):
        return NotFound("Transaction not found")
    asked = request.amount.minor_units(story.exponent) if request.amount is not None else None

    earlier = books.recorded.get(request.scope)
    if earlier is not None:
        return conflict_or_replay(request, earlier)

    if request.force and not is_operator:
        return NotOperator()
    if not is_operator and _receivers(story, books) != {caller.id}:
        return NotReceiver()
    if story.kind not in REVERSIBLE:
        return NotReversible()
    if not story.reversible:
        return AlreadyReversed()
    amount = story.reversible if asked is None else asked
    if amount > story.reversible:
        return ExceedsReversibleAmount(
            reversible=story.reversible, currency=story.currency, exponent=story.exponent
        )
    if request.force and len(_legs_of(story)) > 1:
        return InvalidField("force", "is for transactions with one leg")

    back = _flowing_back(story, amount)
    movements = [
        Movement(books.accounts[leg.to_account], books.accounts[leg.from_account], leg.amount) for leg in back
    ]
    refusal = refusal_of_states(movements, policy) or refusal_of_money(movements, overdraw=request.force)
    if refusal is not None:
        return refusal
    return Posted(_post(request, story, amount, back, movements, books), replayed=False)


def _parties(story: Transaction, books: Books) -> set[ObjectId]:
    accounts = (story.from_account, story.to_account)
    return {story.requested_by, *(books.accounts[account].owner for account in accounts)}


def _receivers(story: Transaction, books: Books) -> set[ObjectId]:
    return {books.accounts[leg.to_account].owner for leg in _legs_of(story)}


def _legs_of(story: Transaction) -> Sequence[Leg]:
    """What is left of each leg; an ordinary transaction is its own only leg."""
    return story.legs or (Leg(1, story.from_account, story.to_account, story.reversible, story.currency),)


def _flowing_back(story: Transaction, amount: int) -> list[Leg]:
    """What flows back of each leg, the last leg first; legs of which nothing does are left out.

    Of the other half of an exchange flows back what `amount` is of what is left, rounded up to a minor unit.
    """
    legs = _legs_of(story)
    back = []
    for currency in dict.fromkeys(leg.currency for leg in legs):
        half = [leg for leg in legs if leg.currency == currency]
        left = sum(leg.amount for leg in half)
        total = amount if currency == story.currency else -(-left * amount // story.reversible)
        shares = divide(total, [leg.amount for leg in half]) if total else [0] * len(half)
        back += [leg._replace(amount=share) for leg, share in zip(half, shares, strict=True) if share]
    return back[::-1]


def _post(
    request: FollowUp,
    story: Transaction,
    amount: int,
    back: Sequence[Leg],
    movements: Sequence[Movement],
    books: Books,
) -> Transaction:
    reversal = Transaction(
        id=request.id,
        kind=Kind.REVERSAL,
        operation=request.operation,
        requested_by=request.claims.user,
        key=request.key,
        digest=request.digest,
        from_account=story.to_account,
        to_account=story.from_account,
        amount=amount,
        currency=story.currency,
        exponent=story.exponent,
        created_at=books.now,
        notes=request.notes,
        parent=story.position,
        parent_id=story.id,
        exchange=_half_flowing_back(story, back),
    )
    if story.legs:
        reversal.legs = tuple(
            leg._replace(from_account=leg.to_account, to_account=leg.from_account) for leg in back
        )
    _overdraw(reversal, movements)
    books.record(reversal)
    for source, target, moved in movements:
        books.move(reversal, source, target, moved)
    _sum_up(story, amount, back, books)
    return reversal


def _half_flowing_back(story: Transaction, back: Sequence[Leg]) -> Exchange | None:
    if story.exchange is None:
        return None
    arriving = sum(leg.amount for leg in back if leg.currency != story.currency)
    return story.exchange._replace(amount=arriving) if arriving else None


def _overdraw(reversal: Transaction, movements: Sequence[Movement]) -> None:
    """A forced reversal gives the account that has spent the money the overdraft that this takes, on record."""
    source, _, amount = movements[0]
    if source.floor is not None and source.available - amount < source.floor:
        source.floor = reversal.floor_after = source.available - amount


def _sum_up(story: Transaction, amount: int, back: Sequence[Leg], books: Books) -> None:
    gone = {leg.number: leg.amount for leg in back}
    story.legs = tuple(leg._replace(amount=leg.amount - gone.get(leg.number, 0)) for leg in story.legs)
    story.reversed += amount
    if not story.reversible:
        story.status = TransactionStatus.REVERSED
    books.go_on(story)
