"""Standing orders as a client sees them: made, looked at, changed and called off; and every flaw is a 4xx."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.client import Person, fresh
from tests.contract.conftest import House
from tests.fault.embedded_process import until

PATH = "/api/standing-orders"
NEVER = "2190-01-01T00:00:00Z"


class Desk:
    """Ann with 100 on one account and a second one that her orders pay."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.ann, self.source = house.funded(100)
        self.target = self.ann.open_account()

    def body(self, **changes: Any) -> dict[str, Any]:
        """A rent that is due in the distant future, but for `changes`; one to None leaves the field out."""
        rent = {
            "fromAccount": self.source,
            "toAccount": self.target,
            "amount": 10,
            "everyMonths": 1,
            "startsAt": NEVER,
            "idempotencyKey": fresh(),
        }
        return {name: value for name, value in (rent | changes).items() if value is not None}

    def send(self, **changes: Any) -> httpx2.Response:
        return self.ann.post(PATH, self.body(**changes))

    def order(self, **changes: Any) -> dict[str, Any]:
        answer = self.send(**changes)
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()["standingOrder"]
        return order

    def look(self, order: dict[str, Any], beside: str = "") -> Any:
        answer = self.ann.get(f"{PATH}/{order['_id']}{beside}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def do(self, order: dict[str, Any], verb: str, person: Person | None = None) -> httpx2.Response:
        return (person or self.ann).post(f"{PATH}/{order['_id']}/{verb}")


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


def in_a_moment() -> str:
    return (datetime.now(UTC) + timedelta(seconds=2)).isoformat()


# ── carried out by the service ───────────────────────────────────────────────────────────────────────


def test_an_order_that_starts_now_is_carried_out_now_and_shows_its_transfer(desk: Desk) -> None:
    order = desk.order(startsAt=None, description="Rent")
    assert (order["status"], order["occurrences"], order["amount"]) == ("ACTIVE", 0, 10)
    until(lambda: desk.look(order)["runs"])
    said = desk.look(order)
    (run,) = said["runs"]
    assert (run["occurrence"], run["status"], run["attempts"], run["code"]) == (1, "EXECUTED", 1, None)
    assert said["standingOrder"]["occurrences"] == 1
    assert desk.ann.balance(desk.target) == 10
    moved = desk.ann.get(f"/api/transactions/{run['transaction']}").json()["transaction"]
    assert (moved["amount"], moved["fromAccount"], moved["description"]) == (10, desk.source, "Rent")
    assert moved["idempotencyKey"] == f"standing-order·{order['_id']}·1"


def test_an_order_for_one_moment_is_carried_out_after_a_logout_and_completed(desk: Desk) -> None:
    order = desk.order(everyMonths=None, startsAt=None, at=in_a_moment())
    again = desk.house.client.log_in(desk.ann.email, desk.ann.password)
    assert desk.ann.post("/api/auth/logout").status_code == 200
    desk.ann = again
    until(lambda: desk.look(order)["standingOrder"]["status"] == "COMPLETED")
    assert desk.ann.balance(desk.target) == 10
    assert desk.look(order)["standingOrder"]["nextRunAt"] is None
    assert desk.look(order, "/upcoming")["upcoming"] == []


def test_lack_of_money_waits_for_money(desk: Desk) -> None:
    order = desk.order(startsAt=None, amount=150, retry={"maxAttempts": 2, "intervalMinutes": 30})
    until(lambda: desk.look(order)["runs"])
    (run,) = desk.look(order)["runs"]
    assert (run["status"], run["code"], run["attempts"]) == ("RETRYING", "insufficient_funds", 1)
    assert run["nextAttemptAt"] == desk.look(order)["standingOrder"]["nextRunAt"]
    desk.house.system.fund(desk.source, 50)
    desk.house.tables.script(f"UPDATE standing_orders SET wakes_at = now() WHERE id = '\\x{order['_id']}'")
    until(lambda: desk.look(order)["runs"][0]["status"] == "EXECUTED")
    assert desk.look(order)["runs"][0]["attempts"] == 2


# ── dates ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_shows_the_dates_and_creates_nothing(desk: Desk) -> None:
    position = desk.house.tables.position()
    answer = desk.send(
        dryRun=True,
        idempotencyKey=None,
        startsAt="2190-01-31T09:00:00+01:00",
        timeZone="Europe/Berlin",
        times=4,
    )
    assert answer.status_code == 200
    assert answer.json()["upcoming"] == [
        "2190-01-31T08:00:00.000Z",
        "2190-02-28T08:00:00.000Z",
        "2190-03-31T07:00:00.000Z",
        "2190-04-30T07:00:00.000Z",
    ]
    assert "_id" not in answer.json()["standingOrder"]
    assert desk.ann.get(PATH).json()["standingOrders"] == []
    assert desk.house.tables.position() == position


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        ({"everyDays": 10, "everyMonths": None}, "2190-01-01T00:00:00.000Z"),
        ({"cron": "30 9 L * *", "everyMonths": None, "timeZone": "Asia/Kolkata"}, "2190-01-31T04:00:00.000Z"),
        (
            {"at": "2190-05-05T05:05:05.250+05:00", "everyMonths": None, "startsAt": None},
            "2190-05-05T00:05:05.250Z",
        ),
        ({"dayOfMonth": 31}, "2190-01-31T00:00:00.000Z"),
    ],
)
def test_the_upcoming_dates_begin_with_the_first(desk: Desk, schedule: dict[str, Any], first: str) -> None:
    order = desk.order(**schedule)
    assert order["nextRunAt"] == first
    due = desk.look(order, "/upcoming?count=3")["upcoming"]
    assert due[0] == first
    assert len(due) == (1 if "at" in schedule else 3)
    assert order | schedule | {"timeZone": order["timeZone"], "at": order["at"]} == order | {
        name: value for name, value in schedule.items() if name not in {"timeZone", "at"}
    }


# ── changes ──────────────────────────────────────────────────────────────────────────────────────────


def test_pause_resume_and_cancel_can_be_repeated_and_cancel_is_the_end(desk: Desk) -> None:
    order = desk.order()
    for verb, status in (("pause", "PAUSED"), ("resume", "ACTIVE"), ("cancel", "CANCELLED")):
        for _ in range(2):
            answer = desk.do(order, verb)
            assert (answer.status_code, answer.json()["standingOrder"]["status"]) == (200, status)
            assert (answer.json()["standingOrder"]["nextRunAt"] is None) == (status != "ACTIVE")
    for refused in (desk.do(order, "resume"), desk.do(order, "pause")):
        assert (refused.status_code, refused.json()["code"]) == (409, "status_conflict")
    events = desk.house.tables.rows(
        "SELECT kind FROM events WHERE details->>'order' = $1 ORDER BY position", order["_id"]
    )
    assert [event["kind"] for event in events] == [
        f"STANDING_ORDER_{what}" for what in ("CREATED", "PAUSED", "RESUMED", "CANCELLED")
    ]


def test_new_terms_hold_for_what_is_still_to_come(desk: Desk) -> None:
    order = desk.order(times=3, endsAt="2190-12-31T00:00:00Z")
    path = f"{PATH}/{order['_id']}"
    given = {"amount": "7.25", "endsAt": None, "times": 5, "retry": {"maxAttempts": 9}, "catchUp": "latest"}
    changed = desk.ann.patch(path, given).json()["standingOrder"]
    assert (changed["amount"], changed["endsAt"], changed["times"]) == (7.25, None, 5)
    assert (changed["retry"], changed["catchUp"]) == ({"maxAttempts": 9, "intervalMinutes": 60}, "LATEST")
    position = desk.house.tables.position()
    assert desk.ann.patch(path, {}).json()["standingOrder"] == changed
    assert desk.house.tables.position() == position
    ended = desk.ann.patch(path, {"endsAt": "2100-01-01T00:00:00Z"}).json()["standingOrder"]
    assert ended["status"] == "COMPLETED"
    assert desk.ann.patch(path, {"amount": 1}).json()["code"] == "status_conflict"


# ── keys, lists and other people ─────────────────────────────────────────────────────────────────────


def test_a_key_makes_one_order_and_a_different_request_under_it_is_refused(desk: Desk) -> None:
    order = desk.order(idempotencyKey="rent")
    replayed = desk.send(idempotencyKey="rent", amount="10.00")
    assert (replayed.status_code, replayed.headers["idempotency-replayed"]) == (200, "true")
    assert replayed.json()["standingOrder"] == order
    by_header = desk.ann.post(PATH, desk.body(idempotencyKey=None), headers={"Idempotency-Key": '"rent"'})
    assert by_header.json()["standingOrder"] == order
    refused = desk.send(idempotencyKey="rent", amount=11, times=2, retry={"maxAttempts": 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "key_conflict")
    assert refused.json()["conflictingFields"] == ["amount", "retry", "times"]
    # The same key may stand for a transfer: an order's key is of another kind.
    assert desk.ann.send(desk.source, desk.target, 1, key="rent").status_code == 201


def test_a_list_goes_on_where_the_page_before_it_ended(desk: Desk) -> None:
    made = [desk.order()["_id"] for _ in range(5)]
    desk.ann.post(f"{PATH}/{made[2]}/pause")
    seen, query = [], "?limit=2"
    while True:
        page = desk.ann.get(f"{PATH}{query}").json()
        seen += [order["_id"] for order in page["standingOrders"]]
        if page["next"] is None:
            break
        query = f"?limit=2&before={page['next']}"
    assert seen == made[::-1]
    (paused,) = desk.ann.get(f"{PATH}?status=paused").json()["standingOrders"]
    assert paused["_id"] == made[2]


def test_an_order_of_somebody_else_is_not_there(desk: Desk) -> None:
    order, bob = desk.order(), desk.house.client.register("Bob")
    path = f"{PATH}/{order['_id']}"
    answers = [bob.get(f"{path}{beside}") for beside in ("", "/runs", "/upcoming")]
    answers += [desk.do(order, verb, bob) for verb in ("pause", "resume", "cancel")]
    answers += [bob.patch(path, {"amount": 1}), bob.get(f"{PATH}/{'0' * 24}")]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}
    assert bob.get(PATH).json()["standingOrders"] == []
    assert desk.look(order)["standingOrder"]["status"] == "ACTIVE"


# ── flaws ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"everyMonths": None}, "invalid_field"),
        ({"cron": "0 9 * * *"}, "invalid_field"),
        ({"everyMonths": 0}, "invalid_field"),
        ({"everyMonths": "1"}, "invalid_field"),
        ({"everyMonths": 1.5}, "invalid_field"),
        ({"everyMonths": True}, "invalid_field"),
        ({"everyMonths": 121}, "invalid_field"),
        ({"everyMonths": None, "everyDays": 10**30}, "invalid_field"),
        ({"everyMonths": None, "everyDays": 1, "dayOfMonth": 3}, "invalid_field"),
        ({"dayOfMonth": 32}, "invalid_field"),
        ({"everyMonths": None, "cron": "* * * *"}, "invalid_field"),
        ({"everyMonths": None, "cron": "0 0 30 2 *"}, "invalid_field"),
        ({"everyMonths": None, "cron": "* * * * * *"}, "invalid_field"),
        ({"everyMonths": None, "cron": 5}, "invalid_field"),
        ({"everyMonths": None, "cron": ""}, "missing_field"),
        ({"timeZone": "Atlantis"}, "invalid_field"),
        ({"timeZone": "../../etc/passwd"}, "invalid_field"),
        ({"timeZone": 0}, "missing_field"),
        ({"startsAt": "2190-01-01"}, "invalid_field"),
        ({"startsAt": "2190-01-01T00:00:00"}, "invalid_field"),
        ({"startsAt": "2190-02-30T00:00:00Z"}, "invalid_field"),
        ({"startsAt": "9999-12-31T23:59:59Z"}, "invalid_field"),
        ({"startsAt": "0001-01-01T00:00:00+14:00"}, "invalid_field"),
        ({"startsAt": 1800000000}, "invalid_field"),
        ({"endsAt": "2189-12-31T00:00:00Z"}, "invalid_field"),
        ({"everyMonths": None, "startsAt": None, "at": "2020-01-01T00:00:00Z"}, "invalid_field"),
        ({"everyMonths": None, "at": NEVER}, "invalid_field"),
        ({"times": 0}, "invalid_field"),
        ({"retry": 3}, "invalid_field"),
        ({"retry": {"maxAttempts": 0}}, "invalid_field"),
        ({"retry": {"intervalMinutes": 1e9}}, "invalid_field"),
        ({"catchUp": "SOME"}, "invalid_field"),
        ({"catchUp": 1}, "invalid_field"),
        ({"description": "x" * 501}, "invalid_field"),
        ({"dryRun": "yes"}, "invalid_field"),
        ({"amount": 0}, "invalid_amount"),
        ({"amount": 1.001}, "invalid_amount"),
        ({"amount": None}, "missing_field"),
        ({"idempotencyKey": None}, "missing_field"),
        ({"idempotencyKey": "standing-order·1"}, "invalid_key"),
        ({"fromAccount": "no-id"}, "invalid_id"),
        ({"toAccount": "0" * 24}, "account_not_found"),
        ({"fromAccount": "0" * 24}, "account_not_found"),
    ],
)
def test_a_flawed_order_is_refused_and_leaves_nothing(desk: Desk, changes: dict[str, Any], code: str) -> None:
    position = desk.house.tables.position()
    answer = desk.send(**changes)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert desk.house.tables.position() == position


def test_accounts_must_fit_each_other_and_the_payer(desk: Desk) -> None:
    bobs = desk.house.funded(1)[1]
    closed = desk.ann.open_account()
    desk.ann.post(f"/api/accounts/{closed}/status", {"status": "CLOSED", "reason": "no longer needed"})
    for changes, expected in (
        ({"toAccount": desk.source}, (400, "same_account")),
        ({"fromAccount": bobs}, (403, "not_account_owner")),
        ({"toAccount": desk.ann.open_account(currency="JPY")}, (400, "currency_mismatch")),
        ({"toAccount": closed}, (400, "account_not_active")),
    ):
        answer = desk.send(**changes)
        assert (answer.status_code, answer.json()["code"]) == expected
    twice = b'{"retry": {"maxAttempts": 1, "maxAttempts": 2}}'
    assert desk.ann.post(PATH, content=twice).json()["code"] == "duplicate_field"


@pytest.mark.parametrize(
    ("beside", "code"),
    [
        ("?limit=0", "invalid_field"),
        ("?before=odd", "invalid_id"),
        ("?status=LATE", "invalid_field"),
        ("/no-id", "invalid_id"),
        ("/{order}/runs?before=0", "invalid_field"),
        ("/{order}/upcoming?count=51", "invalid_field"),
    ],
)
def test_a_flawed_question_is_refused(desk: Desk, beside: str, code: str) -> None:
    answer = desk.ann.get(PATH + beside.format(order=desk.order()["_id"]))
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_without_a_token_there_is_nothing_to_see(house: House) -> None:
    for method, path in (("GET", PATH), ("POST", PATH), ("POST", f"{PATH}/{'0' * 24}/cancel")):
        assert house.client.request(method, path).json()["code"] == "token_missing"
