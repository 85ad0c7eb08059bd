"""Events as users see them: the schemas are true, nobody learns what is not theirs, and no place is missed."""

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import nostro
from nostro.api.documentation_events import events_page
from nostro.api.event_schemas import EVENT_TYPES, schema_document
from nostro.domain.event import INTERNAL_TYPES, other_type, transaction_type
from nostro.domain.transaction import Kind
from nostro.ledger.event_examples import examples
from nostro.store.documents import decode_document, encode_document
from tests.client import Person, fresh
from tests.contract.conftest import House

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def operator(house: House) -> Person:
    email = f"{fresh('operator')}@example.com"
    who = ("--email", email, "--name", "Olga", "--password", "a long secret", "--operator")
    assert house.service.command("user", "create", *who).returncode == 0
    return house.client.log_in(email, "a long secret")


def _closed(schema: Any) -> Any:
    """The schema with every record closed: what is produced has no member that is not described."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    return closed | {"additionalProperties": False} if "properties" in closed else closed


def _flaws(document: dict[str, Any]) -> list[str]:
    """In what an event's document breaks the schema of its type."""
    schema = schema_document(document["type"].removeprefix("io.nostro."))
    found = Draft202012Validator(_closed(schema)).iter_errors(decode_document(encode_document(document)))
    return [f"{flaw.json_path}: {flaw.message}" for flaw in found]


def _all_events(person: Person, limit: int = 50, after: int = 0) -> list[dict[str, Any]]:
    """What the person is told from `after` on, page by page."""
    told: list[dict[str, Any]] = []
    while True:
        answer = person.get(f"/api/events?after={after}&limit={limit}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        told += page["events"]
        if page["next"] == after or not page["events"]:
            return told
        after = page["next"]


def _balances(data: dict[str, Any]) -> list[tuple[str, float]]:
    return [(entry["direction"], entry["balanceAfter"]) for entry in data["entries"]]


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_type_has_a_valid_schema_and_an_example_that_fits_it(name: str) -> None:
    schema = schema_document(name)
    Draft202012Validator.check_schema(schema)
    event = examples()[name]
    assert _flaws(event.document(None)) == []
    for user in event.users:
        assert _flaws(event.document(user)) == []


def test_every_kind_of_the_journal_has_a_schema() -> None:
    """Kinds of transactions, and every kind of event that the ledger's code writes."""
    code = "\n".join(path.read_text("utf-8") for path in Path(nostro.__file__).parent.rglob("*.py"))
    written = set(re.findall(r'"((?:[A-Z]+_)+(?:[A-Z]*ED|READY))"', code))
    assert {"USER_REGISTERED", "ACCOUNT_OPENED", "ACCOUNT_DETAILS_CHANGED"} <= written
    types = {other_type(kind) for kind in written} | {transaction_type(kind.value) for kind in Kind}
    assert types - INTERNAL_TYPES - set(EVENT_TYPES) == set()


def test_the_page_is_current() -> None:
    assert (_ROOT / "docs/reference/events.md").read_text("utf-8") == events_page(), (
        "run: python -m nostro.api.documentation_events > docs/reference/events.md"
    )


def test_what_really_happens_fits_the_schemas(house: House) -> None:
    ann, account = house.funded(100)
    ann.send(account, ann.open_account(), 10.5)
    ann.post(f"/api/accounts/{account}/status", {"status": "INACTIVE", "reason": "A long journey"})
    said = {"name": "Rent", "metadata": {"my_lease": 1.5}}
    ann.client.request("PATCH", f"/api/accounts/{account}", said, token=ann.token)
    told = _all_events(ann)
    assert [event["type"].removeprefix("io.nostro.") for event in told] == [
        "user.registered",
        "account.opened",
        "transaction.completed",
        "account.opened",
        "transaction.completed",
        "account.status_changed",
        "account.details_changed",
    ]
    assert [flaw for event in told for flaw in _flaws(event)] == []
    funds, transfer = told[2]["data"], told[4]["data"]
    assert _balances(funds) == [("CREDIT", 100)]
    assert _balances(transfer) == [("DEBIT", 89.5), ("CREDIT", 10.5)]
    assert told[5]["data"]["details"]["reason"] == "A long journey"
    assert told[6]["data"]["details"]["after"] == said
    assert all(event["source"] == told[0]["source"] for event in told)
    assert [event["id"] for event in told] == [f"evt_{event['position']}" for event in told]


def _act(person: Person, transaction: str, verb: str, **fields: Any) -> None:
    answer = person.post(f"/api/transactions/{transaction}/{verb}", {"idempotencyKey": fresh()} | fields)
    assert answer.status_code in {200, 201}, answer.text


def _hold(person: Person, source: str, target: str, amount: object) -> str:
    body = {"fromAccount": source, "toAccount": target, "amount": amount, "hold": True}
    answer = person.post("/api/transactions", body | {"idempotencyKey": fresh()})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["transaction"]["_id"])


def test_the_life_of_a_hold_is_told_with_what_the_payer_could_still_spend(house: House) -> None:
    ann, first = house.funded(100)
    bob = house.client.register("Bob")
    second = bob.open_account()
    start = _all_events(ann)[-1]["position"]
    held, let_go = _hold(ann, first, second, 30), _hold(ann, first, second, 20)
    _act(bob, held, "capture", amount=10)
    _act(bob, held, "capture", amount=5, final=True)
    _act(bob, let_go, "void")
    told = [event for event in _all_events(ann) if event["position"] > start]
    assert [flaw for event in told for flaw in _flaws(event)] == []
    assert [event["type"].removeprefix("io.nostro.") for event in told] == [
        *("hold.created", "hold.created", "hold.captured", "hold.captured", "hold.voided"),
    ]
    hold = [(e["data"]["hold"]["balanceAfter"], e["data"]["hold"]["availableAfter"]) for e in told]
    assert hold == [(100, 70), (100, 50), (90, 50), (85, 65), (85, 85)]
    assert told[3]["data"]["transaction"]["parent"] == held
    assert told[3]["data"]["transaction"]["releasedAmount"] == 15
    to_bob = _all_events(bob)[-5:]
    assert [event["id"] for event in to_bob] == [event["id"] for event in told]
    assert not [event for event in to_bob if "hold" in event["data"]]


def test_a_part_of_many_legs_is_told_to_those_it_concerns(house: House) -> None:
    ann, first = house.funded(100)
    bob, carl = house.client.register("Bob"), house.client.register("Carl")
    accounts = [bob.open_account(), carl.open_account()]
    legs = [
        {"fromAccount": first, "toAccount": account, "amount": amount}
        for account, amount in zip(accounts, (30, 12), strict=True)
    ]
    sent = ann.post("/api/transactions", {"legs": legs, "idempotencyKey": fresh()})
    assert sent.status_code == 201, sent.text
    to_ann, to_carl = _all_events(ann)[-1]["data"], _all_events(carl)[-1]["data"]
    assert [leg["amount"] for leg in to_ann["legs"]] == [30, 12]
    assert to_ann["transaction"]["amount"] == 42
    assert [leg["amount"] for leg in to_carl["legs"]] == [12]
    assert (to_carl["transaction"]["amount"], to_carl["transaction"]["toAccount"]) == (12, accounts[1])
    assert [(entry["account"], entry["amount"]) for entry in to_carl["entries"]] == [(accounts[1], 12)]


def test_what_flows_back_names_what_it_came_from(house: House) -> None:
    ann, first = house.funded(100)
    bob = house.client.register("Bob")
    sent = ann.send(first, bob.open_account(), 40).json()["transaction"]["_id"]
    _act(bob, sent, "reverse", amount=15)
    back = _all_events(ann)[-1]
    assert (back["type"], back["data"]["transaction"]["parent"]) == ("io.nostro.transaction.reversed", sent)
    assert _balances(back["data"]) == [("CREDIT", 75)]
    assert _flaws(back) == []


def test_a_customer_is_told_nothing_of_the_other_side_but_that_it_is_there(house: House) -> None:
    ann, first = house.funded(100)
    bob, second = house.funded(7, "Bob")
    ann.send(first, second, 3, key := fresh())
    (to_ann,), (to_bob,) = _all_events(ann)[-1:], _all_events(bob)[-1:]
    assert to_ann["id"] == to_bob["id"]
    assert to_ann["data"]["transaction"]["idempotencyKey"] == key
    assert "idempotencyKey" not in to_bob["data"]["transaction"]
    assert [(e["account"], e["balanceAfter"]) for e in to_ann["data"]["entries"]] == [(first, 97)]
    assert [(e["account"], e["balanceAfter"]) for e in to_bob["data"]["entries"]] == [(second, 10)]
    assert house.client.register("Carl").get("/api/events?limit=200").json()["events"][1:] == []


def test_a_customer_is_not_told_why_the_bank_froze_the_account(house: House, operator: Person) -> None:
    ann, account = house.funded(1)
    operator.post(f"/api/accounts/{account}/status", {"status": "FROZEN", "reason": "Suspected of fraud"})
    seen_by_ann, seen_by_operator = _all_events(ann)[-1], _all_events(operator, 200)[-1]
    assert seen_by_ann["id"] == seen_by_operator["id"]
    assert seen_by_ann["data"]["details"] == {"before": "ACTIVE", "after": "FROZEN"}
    assert "actor" not in seen_by_ann["data"]
    assert seen_by_operator["data"]["details"]["reason"] == "Suspected of fraud"


def test_an_operator_is_told_everything_and_never_of_a_wish_for_a_new_password(
    house: House, operator: Person
) -> None:
    house.client.request("POST", "/api/auth/forgot-password", {"email": operator.email})
    told = _all_events(operator, 200)
    head = house.tables.position()
    wishes = house.tables.value("SELECT count(*) FROM events WHERE kind = 'PASSWORD_RESET_REQUESTED'")
    assert wishes > 0
    positions = [event["position"] for event in told]
    assert positions == sorted(set(positions))
    assert len(positions) + wishes == head
    assert not {event["type"].removeprefix("io.nostro.") for event in told} & INTERNAL_TYPES


def test_who_asks_from_beyond_the_end_is_told_where_it_is(house: House, operator: Person) -> None:
    for person in (house.client.register(), operator):
        page = person.get(f"/api/events?after={10**15}").json()
        assert (page["events"], page["next"]) == ([], house.tables.position())


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_any_size_tell_the_same(house: House, limit: int) -> None:
    ann, account = house.funded(100)
    second = ann.open_account()
    for _ in range(4):
        ann.send(account, second, 1)
    assert _all_events(ann, limit) == _all_events(ann, 200)
    middle = _all_events(ann)[3]["position"]
    assert [event["position"] > middle for event in _all_events(ann, limit, after=middle)] == [True] * 4


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "after=1e3", "after=9999999999999999", "limit=0", "limit=201", "after=٣"]
)
def test_a_place_that_is_none_is_refused(house: House, query: str) -> None:
    answer = house.client.register("Ann").get(f"/api/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_field")


def test_the_schemas_are_served(house: House) -> None:
    types = house.client.request("GET", "/schemas/events").json()["types"]
    assert [one["type"] for one in types] == [f"io.nostro.{name}" for name in EVENT_TYPES]
    for one in types:
        served = house.client.request("GET", one["schema"]).json()
        assert served["properties"]["type"]["const"] == one["type"]
    assert house.client.request("GET", "/schemas/events/no.such_type").status_code == 404


def test_followers_are_shown_to_operators_and_auditors_only(house: House, operator: Person) -> None:
    assert operator.get("/api/followers").status_code == 200
    for person in (house.client.register("Ann"), house.system):
        answer = person.get("/api/followers")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_operator")
