"""What a batch that is prepared takes over from those that were written before it."""

from datetime import UTC, datetime, timedelta

from nostro.domain.ids import ObjectId
from nostro.store.optimistic import Prepared, Written

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
