"""What a batch that is prepared takes over from those written before it, and in which form it is sent."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from nostro.domain.account import Account, AccountStatus
from nostro.domain.books import Books, Policy
from nostro.domain.errors import NostroError
from nostro.domain.ids import ObjectId
from nostro.domain.money import Amount
from nostro.domain.posting import decide
from nostro.domain.requests import PLAIN, Terms
from nostro.domain.transaction import Notes
from nostro.domain.user import Caller, Claims, Role
from nostro.ledger.transfers import transfer_request
from nostro.store import optimistic
from nostro.store.optimistic import Basis, Head, KnownCaller, Prepared, Written
from nostro.store.queries import SQL

MOMENT = datetime(2026, 7, 1, tzinfo=UTC)
ANN, BOB, EVE = (ObjectId(name * 12) for name in (b"a", b"b", b"e"))


def prepared() -> Prepared:
    return Prepared("", [MOMENT], {ANN: 0, BOB: 1}, versions=[700, 701], ctids=["(0,1)", "(0,2)"])


def written(moment: datetime) -> Written:
    return Written(6, moment, version=800, ctids=["(9,1)", "(9,2)"], accounts={BOB: 0, EVE: 1})


def test_the_accounts_that_both_move_are_where_the_first_has_left_them() -> None:
    batch = prepared()
    batch.follow(written(MOMENT))
    assert (batch.versions, batch.ctids) == ([700, 800], ["(0,1)", "(9,1)"])


def test_it_is_not_written_at_an_earlier_time_than_the_one_before_it() -> None:
    batch = prepared()
    batch.follow(written(MOMENT + timedelta(seconds=5)))
    batch.follow(written(MOMENT + timedelta(seconds=2)))
    assert batch.parameters == [MOMENT + timedelta(seconds=5)]


# ── which form of the statement a batch gets ─────────────────────────────────────────────────────────────
ALONE, MANY = "write_one_if_unchanged", "write_if_unchanged"
RICH = 10**6


def decided(*amounts: int, terms: Terms = PLAIN, held: int = 0) -> Prepared:
    """Payments from Ann's account to Bob's, both Ann's own, decided as one batch."""
    accounts = {
        account: Account(account, ANN, "INR", 2, AccountStatus.ACTIVE, RICH, held, 1, 0, None, False)
        for account in (ANN, BOB)
    }
    heads = {account: Head(head, 700, "(0,1)", MOMENT) for account, head in accounts.items()}
    caller = Caller(ANN, Role.CUSTOMER, 0)
    books = Books(MOMENT, accounts, {ANN: caller}, set(), {})
    claims = Claims(ANN, b"t" * 32, 0, 0)
    requests = [
        transfer_request(claims, f"key-{nth}", ANN, BOB, Amount(amount, 0), terms=terms)
        for nth, amount in enumerate(amounts)
    ]
    outcomes = zip(requests, decide(requests, books, Policy()), strict=True)
    refused = [request.scope for request, outcome in outcomes if isinstance(outcome, NostroError)]
    return optimistic.prepared(books, Basis(heads, {ANN: KnownCaller(caller, 7)}, {claims.digest}, refused))


def form_of(batch: Prepared) -> str:
    return ALONE if batch.statement == SQL[ALONE] else MANY


def test_a_transfer_alone_gets_a_form_of_its_own() -> None:
    assert form_of(decided(1)) == ALONE


@pytest.mark.parametrize(
    "batch",
    [
        partial(decided, 1, 1),
        partial(decided, 1, RICH),
        partial(decided, 1, terms=Terms(hold=True)),
        partial(decided, 1, terms=Terms(notes=Notes(description="rent"))),
        partial(decided, 1, terms=Terms(notes=Notes(description=""))),
        partial(decided, 1, terms=Terms(notes=Notes(metadata="{}"))),
        partial(decided, 1, held=5),
    ],
    ids=[
        "two",
        "one beside a refusal",
        "a hold",
        "a description",
        "an empty one",
        "metadata",
        "an account that holds something",
    ],
)
def test_whatever_else_there_is_to_say_or_to_look_at_is_left_to_the_form_for_many(
    batch: Callable[[], Prepared],
) -> None:
    assert form_of(batch()) == MANY
