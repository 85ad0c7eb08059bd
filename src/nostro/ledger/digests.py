"""The digest of a request: what makes a repeated key the same request.

It covers what was parsed, not how it was spelt: 10, "10" and 10.00 are one amount, and fields may change
places. Preconditions are left out: they say when a request may happen, not what it is.
"""

import hashlib

from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.requests import PLAIN, FollowUp, Terms
from nostro.domain.transaction import Operation


def transfer_digest(
    operation: Operation,
    from_account: ObjectId | None,
    to_account: ObjectId,
    amount: Amount,
    terms: Terms = PLAIN,
) -> bytes:
    said = f"{operation} {_written(amount)} ".encode() + (from_account or b"") + to_account
    if terms is not PLAIN:
        said += _terms_written(terms)
    return _digest(said)


def follow_up_digest(request: FollowUp) -> bytes:
    amount = _written(request.amount) if request.amount else "all"
    said = [request.operation.value, request.parent, amount, request.final, request.expires_in_s]
    return _digest(repr([*said, request.force, tuple(request.notes)]).encode())


def _terms_written(terms: Terms) -> bytes:
    legs = [(leg.from_account, leg.to_account, _written(leg.amount)) for leg in terms.legs]
    split = [(part.account, part.amount and _written(part.amount), part.share) for part in terms.split]
    said = [terms.hold, terms.expires_in_s, legs, split, terms.effective_at, terms.expected_rate]
    return repr([*said, tuple(terms.notes)]).encode()


def _written(amount: Amount) -> str:
    return f"{amount.digits}e-{amount.scale}"


def _digest(said: bytes) -> bytes:
    return hashlib.blake2b(said, digest_size=16).digest()
