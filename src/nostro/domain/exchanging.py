"""Exchange: one transaction with two balanced halves, and the rate on record. Never 1:1 by surprise.

The caller pays the settlement account of the system user who set the rate, and that user's settlement account
in the other currency pays the receiver. What arrives is rounded down to a minor unit of its currency.
"""

from fractions import Fraction

from nostro.domain.account import Account
from nostro.domain.books import Books, Rate
from nostro.domain.errors import (
    AmountOverflow,
    CurrencyMismatch,
    InvalidAmount,
    RateChanged,
    RateNotFound,
    SystemAccountNotFound,
)
from nostro.domain.money import MAX_MINOR, show_rate
from nostro.domain.movements import Movement
from nostro.domain.requests import TransferRequest
from nostro.domain.transaction import Exchange


def halves_of(
    request: TransferRequest, source: Account, target: Account, amount: int, books: Books
) -> tuple[list[Movement], Exchange]:
    """The two movements of an exchange of `amount`, and what goes on record.

    Raises `CurrencyMismatch` (one currency only), `RateNotFound`, `RateChanged` (not the expected one),
    `SystemAccountNotFound`, `InvalidAmount` (too little to become a minor unit), `AmountOverflow`.
    """
    if source.currency == target.currency:
        raise CurrencyMismatch("An exchange is between two currencies; this would be a transfer")
    rate = _rate_of(request, source, target, books)
    payee = books.settlement_of(rate.maker, source.currency)
    payer = books.settlement_of(rate.maker, target.currency)
    if payee is None or payer is None:
        raise SystemAccountNotFound
    arriving = int(amount * Fraction(rate.rate) * Fraction(10) ** (target.exponent - source.exponent))
    if arriving == 0:
        raise InvalidAmount(f"The amount is less than the smallest unit of {target.currency}")
    if arriving > MAX_MINOR:
        raise AmountOverflow
    exchange = Exchange(arriving, target.currency, target.exponent, rate.rate)
    return [Movement(source, payee, amount), Movement(payer, target, arriving)], exchange


def _rate_of(request: TransferRequest, source: Account, target: Account, books: Books) -> Rate:
    rate = books.rates.get((source.currency, target.currency))
    if rate is None:
        raise RateNotFound
    expected = request.terms.expected_rate
    if expected is not None and expected != rate.rate:
        raise RateChanged(rate=show_rate(rate.rate))
    return rate
