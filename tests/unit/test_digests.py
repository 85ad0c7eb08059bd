"""Digests are kept with every transaction for ever: what they are made of must not change."""

from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.transaction import Operation
from nostro.ledger.digests import transfer_digest

ONE, OTHER = ObjectId(bytes(range(12))), ObjectId(bytes(range(12, 24)))


def test_the_digest_of_a_transfer_is_what_it_always_was() -> None:
    paid = transfer_digest(Operation.TRANSFER, ONE, OTHER, Amount(105, 1))
    funded = transfer_digest(Operation.INITIAL_FUNDS, None, ONE, Amount(7, 0))
    assert paid.hex() == "dcacd747ea74267b36b7d091b80840dc"
    assert funded.hex() == "7f0e5fa37f2fc28f3796cc6005659b00"
