"""The small parts of following: names, types, pauses, exact JSON."""

from dataclasses import replace
from decimal import Decimal

import pytest

from nostro.domain.delivery import delivery_id, names, parse_delivery_id
from nostro.domain.event import Event, other_type, transaction_type
from nostro.followers import live_end
from nostro.followers.frame import RETRY_SCHEDULE_S, terms_of
from nostro.followers.pace import LONGEST_REST, MOST_AT_ONCE_S, SHORTEST_REST, Pace, time_wanted_s
from nostro.followers.pauses import LONGEST_PAUSE_S, Pauses
from nostro.ledger.event_examples import examples
from nostro.ledger.head import JournalWatch
from nostro.ledger.recent import Recent
from nostro.store.documents import decode_document, encode_document


@pytest.mark.parametrize("target", ["ann@example.com", "https://example.com/a-b?c=1", "ünï", "-"])
def test_a_delivery_is_found_again_by_its_id(target: str) -> None:
    shown = delivery_id("web_hooks", 1207, target)
    assert shown == delivery_id("web_hooks", 1207, target)
    parts = parse_delivery_id(shown)
    assert parts is not None
    assert (parts.follower, parts.position) == ("web_hooks", 1207)
    assert names(parts.digest, target)
    assert not names(parts.digest, target + "x")
    assert len({delivery_id("mail", 1, "a"), delivery_id("mail", 2, "a"), delivery_id("mail", 1, "b")}) == 3


@pytest.mark.parametrize("text", ["", "mail", "mail-1", "mail--x", "-1-x", "mail-one-x", f"mail-{10**20}-x"])
def test_what_is_no_id_is_none(text: str) -> None:
    assert parse_delivery_id(text) is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("USER_REGISTERED", "user.registered"),
        ("ACCOUNT_STATUS_CHANGED", "account.status_changed"),
        ("PASSWORD_RESET_REQUESTED", "user.password_reset_requested"),
        ("PASSWORD_CHANGED", "user.password_changed"),
        ("LIMITS_CHANGED", "account.limits_changed"),
        ("STANDING_ORDER_FAILED", "standing_order.failed"),
        ("STATEMENT_READY", "statement.ready"),
        ("NOBODY_HAS_HEARD_OF_IT", "nobody.has_heard_of_it"),
        ("ODD", "odd"),
    ],
)
def test_every_kind_has_a_type(kind: str, expected: str) -> None:
    assert other_type(kind) == expected


def test_a_kind_of_transaction_that_nobody_knows_has_moved_money() -> None:
    assert transaction_type("TRANSFER") == transaction_type("SOMETHING_NEW") == "transaction.completed"


@pytest.mark.parametrize("text", ["10.5", "1234567890123456.78", "-0.1", "7", "1E+400", "0.000001"])
def test_numbers_keep_every_digit(text: str) -> None:
    written = encode_document({"amount": Decimal(text)})
    assert written == f'{{"amount":{text}}}'.encode()
    assert Decimal(str(decode_document(written)["amount"])) == Decimal(text)


def test_a_target_is_left_alone_after_three_failures_and_longer_each_time() -> None:
    pauses, now = Pauses(), 100.0
    for _ in range(2):
        pauses.failed("t", now)
        assert pauses.paused(now) == []
    lengths = []
    for _ in range(10):
        pauses.failed("t", now)
        pauses.failed("t", now)  # sent before the pause began: tells nothing new
        before = now
        while pauses.paused(now):
            now += 0.5
        lengths.append(now - before)
    assert lengths == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    pauses.succeeded("t")
    pauses.failed("t", now)
    assert pauses.paused(now) == []


def test_a_follower_works_on_its_own_terms_where_it_has_some() -> None:
    class Slow:
        name = "slow"
        patience_s = 90.0

        async def publish(self, events: object) -> None: ...

    terms = terms_of(Slow())
    assert (terms.patience_s, terms.lease_s, terms.retry_schedule_s) == (90.0, 180.0, RETRY_SCHEDULE_S)


@pytest.mark.anyio
async def test_followers_at_the_live_end_read_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [examples()["user.registered"]] * 10
    numbered = [replace(event, position=number) for number, event in enumerate(events, start=1)]
    read: list[int] = []

    async def events_after(_: object, position: int, limit: int, _recent: Recent) -> list[Event]:
        read.append(position)
        return numbered[position : position + limit]

    monkeypatch.setattr(live_end, "events_after", events_after)
    now = 0.0
    shared = live_end.LiveEnd(Recent(), lambda: now)
    assert await shared.after(None, 0, 4) == await shared.after(None, 0, 4) == numbered[:4]
    assert await shared.after(None, 4, 4) == numbered[4:8]
    assert await shared.after(None, 2, 3) == numbered[2:5]
    assert await shared.after(None, 6, 10) == numbered[6:8]
    assert read == [0, 4]
    assert await shared.after(None, 8, 10) == numbered[8:]
    assert await shared.after(None, 10, 10) == []
    assert read == [0, 4, 8, 10]
    now = 2.0
    assert await shared.after(None, 0, 10) == numbered
    assert read[-1] == 0


def test_followers_hold_back_only_when_there_is_too_much_for_a_busy_thread() -> None:
    watch, now, wanted = JournalWatch(None), 0.0, 0.0  # type: ignore[arg-type]
    recent = Recent()
    pace = Pace(watch, recent, lambda: now, lambda: wanted)

    def after_seconds(count: float, *, busy: float, growth: float, own: int = 3000) -> float:
        nonlocal now, wanted
        watch.growth = growth
        for _ in range(int(count / 0.1)):
            now, wanted = now + 0.1001, wanted + 0.1001 * busy
            recent.committed += own // 10
            multiple = pace.multiple()
        return multiple

    assert after_seconds(5, busy=1.0, growth=2000) == SHORTEST_REST
    assert after_seconds(5, busy=0.3, growth=9000) == SHORTEST_REST
    assert after_seconds(5, busy=1.0, growth=9000, own=10) == SHORTEST_REST
    assert SHORTEST_REST < after_seconds(0.3, busy=1.0, growth=9000) < 1
    assert after_seconds(5, busy=1.0, growth=9000) == LONGEST_REST
    assert after_seconds(5, busy=1.0, growth=100) == SHORTEST_REST


def test_long_rests_are_taken_one_after_the_other_and_none_is_endless() -> None:
    watch, now, wanted = JournalWatch(None), 0.0, 0.0  # type: ignore[arg-type]
    recent = Recent()
    pace = Pace(watch, recent, lambda: now, lambda: wanted)
    assert [pace.due_s(1) for _ in range(3)] == [SHORTEST_REST] * 3
    watch.growth = 9000
    while pace.multiple() < LONGEST_REST:
        now, wanted = now + 0.1001, wanted + 0.1001
        recent.committed += 300
    rests = [pace.due_s(0.01) for _ in range(3)]
    assert rests == pytest.approx(
        [0.01 * (SHORTEST_REST + (LONGEST_REST - SHORTEST_REST) * turn) for turn in (1, 2, 3)]
    )
    now, wanted = now + 1, wanted + 1
    recent.committed += 3000
    assert pace.due_s(0.01) == pytest.approx(0.01 * LONGEST_REST)
    assert pace.due_s(1) == MOST_AT_ONCE_S
    now, watch.growth = now + 10, 0
    while pace.multiple() > SHORTEST_REST:
        now += 0.1001
    assert pace.due_s(1) == SHORTEST_REST


def test_the_time_a_thread_wanted_grows_with_its_work() -> None:
    before = time_wanted_s()
    while time_wanted_s() == before:
        sum(range(1000))
