"""A key that was used before: the same request is answered again, another one is refused."""

from nostro.domain.books import Outcome, Posted
from nostro.domain.errors import KeyConflict
from nostro.domain.money import Amount
from nostro.domain.requests import FollowUp, Request, TransferRequest
from nostro.domain.transaction import Kind, Transaction


def conflict_or_replay(request: Request, earlier: Transaction) -> Outcome:
    """`earlier` stands under the request's key. Its digest covers everything that was asked for."""
    if earlier.digest != request.digest:
        return KeyConflict(conflictingFields=_conflicts(request, earlier))
    return Posted(earlier, replayed=earlier.id != request.id)


def _conflicts(request: Request, earlier: Transaction) -> list[str]:
    """Which fields of the request differ from the transaction that took its key; never none."""
    if isinstance(request, FollowUp):
        differs = _follow_up_differs(request, earlier)
    else:
        differs = _transfer_differs(request, earlier)
    return [name for name, differing in differs.items() if differing] or ["other terms"]


def _transfer_differs(request: TransferRequest, earlier: Transaction) -> dict[str, bool]:
    terms = request.terms
    plain = not (terms.legs or terms.split or earlier.legs)
    return {
        "fromAccount": plain and request.from_account not in {None, earlier.from_account},
        "toAccount": plain and request.to_account != earlier.to_account,
        "amount": not terms.legs and _amount_differs(request.amount, earlier),
        "legs": _legs_differ(request, earlier),
        "hold": terms.hold != (earlier.kind is Kind.HOLD),
        "effectiveAt": terms.effective_at != earlier.effective_at,
        "description": terms.notes.description != earlier.notes.description,
        "reference": terms.notes.reference != earlier.notes.reference,
    }


def _legs_differ(request: TransferRequest, earlier: Transaction) -> bool:
    legs, split = request.terms.legs, request.terms.split
    if split or not (legs or earlier.legs):
        return False
    return len(legs) != len(earlier.legs) or any(
        (wish.from_account, wish.to_account) != (leg.from_account, leg.to_account)
        or not _same(wish.amount, leg.amount, earlier.exponent)
        for wish, leg in zip(legs, earlier.legs, strict=True)
    )


def _follow_up_differs(request: FollowUp, earlier: Transaction) -> dict[str, bool]:
    return {
        "transaction": request.parent != earlier.parent_id,
        "amount": request.amount is not None and _amount_differs(request.amount, earlier),
    }


def _amount_differs(amount: Amount, earlier: Transaction) -> bool:
    return not _same(amount, earlier.amount, earlier.exponent)


def _same(amount: Amount, minor: int, exponent: int) -> bool:
    exact: bool = amount.digits * 10**exponent == minor * 10**amount.scale
    return exact
