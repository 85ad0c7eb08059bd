"""The description of the API says what the service does: all of its operations, its refusals, its answers."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

import nostro
from nostro.api.documents import encode
from nostro.api.openapi.description import Description, Json, Page
from nostro.api.openapi.document import DESCRIPTIONS, dialect_at, document_of
from nostro.api.openapi.refusals import refusals_of
from nostro.api.operations import OPERATIONS
from nostro.api.pages import all_errors
from nostro.domain import errors
from nostro.settings import DialectName
from tests.client import Person, fresh
from tests.contract.conftest import House
from tests.contract.mails import mails_to
from tests.fault.embedded_process import until

_SOURCE = Path(nostro.__file__).parent
_ELSEWHERE = {
    # Of every path, and never for a method that is described: in the overview.
    "method_not_allowed",
    "headers_too_large",
    "malformed_request",
    "request_timeout",
    # Never leaves the service: the answer to the whole group is the culprit's refusal.
    "group_refused",
}
_UNKNOWN = "0" * 24
# The landing page; the same as /api/transactions; and what has no end (test_stream.py).
_ANSWERED_ELSEWHERE = {"/", "/api/transactions/history", "/api/stream"}


@pytest.fixture(params=list(DialectName), ids=lambda name: name.value)
def dialect(request: pytest.FixtureRequest) -> DialectName:
    name: DialectName = request.param
    return name


def _validator(document: Json, schema: Json) -> Draft202012Validator:
    return Draft202012Validator(schema | {"components": document["components"]})


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def _contents(operation: Json) -> Iterator[tuple[str, Json]]:
    """Each schema with examples: the request body's and every response's."""
    if "requestBody" in operation:
        yield "body", operation["requestBody"]["content"]["application/json"]
    for status, response in operation["responses"].items():
        for media, content in response["content"].items():
            yield f"{status} {media}", content


def test_every_operation_is_described_and_nothing_else_is() -> None:
    assert {(op.method, op.path, op.words) for op in OPERATIONS} == {
        (method, path, described.words) for (method, path), described in DESCRIPTIONS.items()
    }


def test_the_parameters_of_a_path_are_described() -> None:
    for (_, path), described in DESCRIPTIONS.items():
        assert set(re.findall(r"\{(\w+)\}", path)) <= set(described.parameters), path


def test_names_of_operations_are_unique_and_links_lead_to_one(dialect: DialectName) -> None:
    operations = dict(_operations(document_of(dialect)))
    names = [operation["operationId"] for operation in operations.values()]
    assert len(names) == len(set(names))
    links = [
        link["operationId"]
        for operation in operations.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert links
    assert set(links) <= set(names)


def test_the_document_is_valid_openapi(dialect: DialectName) -> None:
    document = document_of(dialect)
    assert [error.message for error in Draft202012Validator(OPENAPI_31).iter_errors(document)] == []
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_example_fits_its_schema(dialect: DialectName) -> None:
    document = document_of(dialect)
    seen = 0
    for label, operation in _operations(document):
        for where, content in _contents(operation):
            values = [example["value"] for example in content.get("examples", {}).values()]
            values += [content["example"]] if "example" in content else []
            validator = _validator(document, _closed(content["schema"]))
            for value in values:
                assert [e.message for e in validator.iter_errors(value)] == [], f"{label} {where}"
                seen += 1
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            assert _validator(document, schema).is_valid(example), name
            seen += 1
    for parameter in document["components"]["parameters"].values():
        if "example" in parameter:
            assert _validator(document, parameter["schema"]).is_valid(parameter["example"]), parameter["name"]
    assert seen > 200


def test_every_refusal_that_the_code_can_give_is_described() -> None:
    """An error class that any room names, outside those that list them all, is some operation's answer."""
    rooms = [path for path in _SOURCE.rglob("*.py") if _gives_refusals(path.relative_to(_SOURCE))]
    code = "\n".join(path.read_text("utf-8") for path in rooms)
    given = {error.code for error in all_errors() if re.search(rf"\b{error.__name__}\b", code)}
    described = {
        error.code
        for name in DialectName
        for (method, path), described in DESCRIPTIONS.items()
        for error, _ in refusals_of(method, path, described, dialect_at(path, name))
    }
    assert given - described - _ELSEWHERE == set()
    assert described <= {error.code for error in all_errors()} | {errors.NostroError.code}


def _gives_refusals(path: Path) -> bool:
    rooms = {"api", "ledger", "store", "domain"}
    return (
        path.parts[0] in rooms and "openapi" not in path.parts and path.name not in {"errors.py", "problems.py"}
    )


def test_the_service_serves_the_document_of_its_dialect(
    dialect: DialectName, house_of: Callable[[str], House]
) -> None:
    house = house_of(dialect.value)
    answer = house.client.request("GET", "/openapi.json")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.content == encode(document_of(dialect))
    assert answer.json()["info"]["version"] == nostro.__version__


class Witness:
    """Sends requests and holds every answer against the description, which it must fit to the last member."""

    def __init__(self, dialect: DialectName) -> None:
        self.document = document_of(dialect)
        self.document["components"]["schemas"] = {
            name: _closed(schema) for name, schema in self.document["components"]["schemas"].items()
        }
        self.seen: set[tuple[str, int]] = set()

    def look(self, operation: str, answer: httpx2.Response) -> Any:
        method, path = operation.split()
        described = self.document["paths"][path][method.lower()]["responses"]
        assert str(answer.status_code) in described, f"{operation}: {answer.status_code} {answer.text}"
        schema = described[str(answer.status_code)]["content"]["application/json"]["schema"]
        flaws = _validator(self.document, _closed(schema)).iter_errors(answer.json())
        assert [flaw.message for flaw in flaws] == [], f"{operation}: {answer.text}"
        self.seen.add((operation, answer.status_code))
        return answer.json()


def _closed(schema: Any) -> Any:
    """The schema with every record closed: the service writes no member that is not described."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    return (
        closed | {"additionalProperties": False} if "required" in closed and "properties" in closed else closed
    )


def test_what_is_answered_is_what_is_described(dialect: DialectName, house_of: Callable[[str], House]) -> None:
    house, witness = house_of(dialect.value), Witness(dialect)
    ann = _sign_in(house, witness)
    _look_at_accounts(house, witness, ann)
    _look_at_currencies(house, witness, ann)
    _move_money(house, witness, ann)
    _look_at_transactions(witness, ann)
    _look_at_histories(witness, ann)
    _look_at_standing_orders(house, witness)
    _look_at_events(house, witness, ann)
    _look_at_webhooks(witness, ann)
    _look_at_reports(house, witness, ann)
    _look_at_mail(house, witness, ann)
    _look_at_pages(house, witness)
    witness.look("POST /api/auth/logout", ann.post("/api/auth/logout"))
    witness.look("GET /api/auth/logout", ann.get("/api/auth/logout"))
    witness.look("GET /api/auth/me", ann.get("/api/auth/me"))
    expected = {
        (f"{method} {path}", 200)
        for (method, path), described in DESCRIPTIONS.items()
        if method == "GET" and path not in _ANSWERED_ELSEWHERE and not _is_page(described)
    }
    assert expected <= witness.seen
    for answer in (ann.get("/api/stream"), house.system.get("/api/stream?scope=all")):
        witness.look("GET /api/stream", answer)
    for wrong in ("lastEventId=x", f"lastEventId={2**63 - 1}", "scope=some"):
        witness.look("GET /api/stream", house.system.get(f"/api/stream?{wrong}"))


def _is_page(described: Description) -> bool:
    """tests/contract/test_mail_pages.py and tests/e2e/test_docs_page.py look at those."""
    return all(isinstance(answer, Page) for answer in described.answers)


def _sign_in(house: House, witness: Witness) -> Person:
    email = f"{fresh()}@example.com"
    post, register, log_in = house.client.request, "POST /api/auth/register", "POST /api/auth/login"
    given = {"email": email, "password": "correct horse", "name": "Ann"}
    witness.look(register, post("POST", "/api/auth/register", given))
    witness.look(register, post("POST", "/api/auth/register", given))
    witness.look(register, post("POST", "/api/auth/register", given | {"email": ""}))
    witness.look(register, post("POST", "/api/auth/register", given | {"email": "no address"}))
    witness.look(register, post("POST", "/api/auth/register", content=b"{"))
    witness.look(register, post("POST", "/api/auth/register", content=b"x" * 200_000))
    witness.look(log_in, post("POST", "/api/auth/login", {"email": email, "password": "wrong"}))
    said = witness.look(log_in, post("POST", "/api/auth/login", given))
    witness.look("POST /api/auth/logout", post("POST", "/api/auth/logout"))
    witness.look("POST /api/auth/forgot-password", post("POST", "/api/auth/forgot-password", given))
    reset = {"email": email, "token": "1.0", "newPassword": "another horse"}
    witness.look("POST /api/auth/reset-password", post("POST", "/api/auth/reset-password", reset))
    ann = Person(house.client, said["user"]["_id"], email, "correct horse", said["token"])
    witness.look("GET /api/auth/session", ann.get("/api/auth/session"))
    witness.look("GET /api/auth/me", ann.get("/api/auth/me"))
    witness.look("GET /api/auth/me", house.client.request("GET", "/api/auth/me"))
    return ann


def _look_at_accounts(house: House, witness: Witness, ann: Person) -> None:
    open_account, status = "POST /api/accounts", "POST /api/accounts/{account}/status"
    witness.look("GET /api/accounts", ann.get("/api/accounts"))
    account = witness.look(open_account, ann.post("/api/accounts"))["account"]["_id"]
    witness.look(open_account, ann.post("/api/accounts", {"currency": "JPY", "name": "Trip"}))
    witness.look(open_account, ann.post("/api/accounts", {"currency": "XXX"}))
    witness.look(open_account, house.system.post("/api/accounts"))
    witness.look("GET /api/accounts", ann.get("/api/accounts"))
    for wanted in (account, _UNKNOWN, "no-id"):
        for path in (
            f"/api/accounts/balance/{wanted}",
            f"/api/accounts/balance/{wanted}?knownAt=2026-01-01T00:00Z",
        ):
            witness.look("GET /api/accounts/balance/{account}", ann.get(path))
        witness.look("GET /api/accounts/{account}", ann.get(f"/api/accounts/{wanted}"))
        change = {"name": "Trip", "metadata": {"to": "Nara", "nights": 3}}
        witness.look("PATCH /api/accounts/{account}", ann.patch(f"/api/accounts/{wanted}", change))
    witness.look("PATCH /api/accounts/{account}", ann.patch(f"/api/accounts/{account}", {"reference": 1}))
    witness.look("GET /api/accounts", ann.get("/api/accounts?metadata[to]=Nara&text=trip"))
    witness.look("GET /api/accounts", ann.get("/api/accounts?reference=%00"))
    witness.look("GET /api/accounts/user/{user}", ann.get(f"/api/accounts/user/{ann.id}"))
    for person in (ann, house.system):
        witness.look("GET /api/accounts/all", person.get("/api/accounts/all"))
        path = f"/api/accounts/by-email/{ann.email}"
        witness.look("GET /api/accounts/by-email/{email}", person.get(path))
    path = f"/api/accounts/{account}/status"
    for after in ("INACTIVE", "ACTIVE", "FROZEN", "odd", "CLOSED", "ACTIVE"):
        witness.look(status, ann.post(path, {"status": after, "reason": "to see"}))
    for wanted in (account, _UNKNOWN, "no-id"):
        path = f"/api/accounts/{wanted}"
        for verb in ("freeze", "activate", "close"):
            answer = ann.post(f"{path}/{verb}", {"reason": "to see"})
            witness.look(f"POST /api/accounts/{{account}}/{verb}", answer)
        witness.look("GET /api/accounts/{account}/events", ann.get(f"{path}/events"))
        limits = {"daily": 10, "reason": "to see"}
        witness.look("GET /api/accounts/{account}/limits", ann.get(f"{path}/limits"))
        witness.look("PUT /api/accounts/{account}/limits", ann.put(f"{path}/limits", limits))
        witness.look("PATCH /api/accounts/{account}/limits", ann.patch(f"{path}/limits", {"daily": "x"}))


def _look_at_currencies(house: House, witness: Witness, ann: Person) -> None:
    register, rate = "POST /api/currencies", "PUT /api/rates/{base}/{quote}"
    asset = {"code": f"A{fresh('x').replace('-', '')}"[:12], "exponent": 3, "name": "Asset"}
    for person, given in ((ann, asset), (house.system, asset), (house.system, asset)):
        witness.look(register, person.post("/api/currencies", given))
    witness.look(register, house.system.post("/api/currencies", asset | {"code": "USD"}))
    witness.look("GET /api/currencies", ann.get("/api/currencies"))
    house.system.post("/api/accounts", {"currency": asset["code"]})
    for person, quote, given in (
        (ann, asset["code"], 1),
        (house.system, asset["code"], "0.0119"),
        (house.system, asset["code"], 0),
        (house.system, "CAD", 1),
        (house.system, "ZZZ", 1),
    ):
        witness.look(rate, person.put(f"/api/rates/INR/{quote}", {"rate": given}))
        witness.look("GET /api/rates/{base}/{quote}", ann.get(f"/api/rates/INR/{quote}"))
    witness.look("GET /api/rates", ann.get("/api/rates"))


def _move_money(house: House, witness: Witness, ann: Person) -> None:
    transfer = "POST /api/transactions"
    funds = "POST /api/transactions/system/initial-funds"
    source, yen = ann.open_account(), ann.open_account(currency="JPY")
    bob = house.client.register("Bob")
    target, closed = bob.open_account(), bob.open_account()
    bob.post(f"/api/accounts/{closed}/status", {"status": "CLOSED", "reason": "to see"})
    for amount in (100, 100, 99):
        witness.look(funds, house.system.fund(source, amount, f"gift {ann.id}"))
    for wanted, amount in ((_UNKNOWN, 1), (closed, 1), ("no-id", 1), (source, 0), (yen, 5)):
        witness.look(funds, house.system.fund(wanted, amount))
    witness.look(funds, ann.fund(source, 1))
    for amount in (1, 1, 2):
        witness.look(transfer, ann.send(source, target, amount, "rent"))
    for pays, receives, amount in (
        (source, target, 1000),
        (source, target, 0),
        (source, target, 1.001),
        (source, source, 1),
        (source, yen, 1),
        (source, closed, 1),
        (source, _UNKNOWN, 1),
        (target, source, 1),
        ("", target, 1),
    ):
        witness.look(transfer, ann.send(pays, receives, amount))
    witness.look(transfer, ann.send(source, target, 1, "no\nkey"))


def _look_at_transactions(witness: Witness, ann: Person) -> None:
    account = ann.get("/api/accounts").json()["accounts"][-2]["_id"]
    page = witness.look("GET /api/transactions", ann.get("/api/transactions"))
    witness.look("GET /api/transactions", ann.get("/api/transactions?limit=0"))
    witness.look("GET /api/transactions", ann.get(f"/api/transactions?accountId={_UNKNOWN}"))
    path = f"/api/transactions/account/{account}"
    assert witness.look("GET /api/transactions/account/{account}", ann.get(path))["total"] > 0
    for wanted in (page["transactions"][0]["_id"], _UNKNOWN, "no-id"):
        witness.look("GET /api/transactions/{transaction}", ann.get(f"/api/transactions/{wanted}"))
    for key in ("rent", "never"):
        witness.look("GET /api/transactions/by-key/{key}", ann.get(f"/api/transactions/by-key/{key}"))


def _look_at_histories(witness: Witness, ann: Person) -> None:
    account = ann.get("/api/accounts").json()["accounts"][-2]["_id"]
    entries, series = "GET /api/accounts/{account}/entries", "GET /api/accounts/{account}/series"
    for wanted in (account, _UNKNOWN, "no-id"):
        for query in ("limit=1", "limit=0", "cursor=x", "amount=x", "order=asc&text=rent"):
            witness.look(entries, ann.get(f"/api/accounts/{wanted}/entries?{query}"))
        for query in (
            "from=2026-01-01&to=2080-01-01&step=month",
            "from=2026-01-01",
            "from=2026-01-02&to=2026-01-01",
        ):
            witness.look(series, ann.get(f"/api/accounts/{wanted}/series?{query}"))
        for query in (
            "from=2026-01-01&to=2080-01-01",
            "from=2026-01-01",
            "from=2026-01-01&to=2026-01-02&format=x",
        ):
            path = "GET /api/accounts/{account}/statement"
            witness.look(path, ann.get(f"/api/accounts/{wanted}/statement?{query}"))


def _look_at_standing_orders(house: House, witness: Witness) -> None:
    path = "/api/standing-orders"
    ann, source = house.funded(10)
    target = ann.open_account()
    rent = {
        "fromAccount": source,
        "toAccount": target,
        "amount": 20,
        "everyMonths": 1,
        "idempotencyKey": "rent",
    }
    order = witness.look(f"POST {path}", ann.post(path, rent))["standingOrder"]["_id"]
    for changed in (
        {},
        {"amount": 21},
        {"dryRun": True},
        {"cron": "* * * *", "everyMonths": None},
        {"idempotencyKey": "no\nkey"},
        {"toAccount": source},
        {"toAccount": _UNKNOWN, "idempotencyKey": "other"},
        {"fromAccount": house.funded()[1], "idempotencyKey": "other"},
        {"toAccount": ann.open_account(currency="JPY"), "idempotencyKey": "other"},
        {"amount": None},
    ):
        witness.look(f"POST {path}", ann.post(path, rent | changed))
    until(lambda: ann.get(f"{path}/{order}/runs").json()["runs"])
    for query in ("", "?status=ACTIVE&limit=1", "?before=odd", "?limit=0"):
        witness.look(f"GET {path}", ann.get(path + query))
    for wanted in (order, _UNKNOWN, "no-id"):
        witness.look(f"GET {path}/{{order}}", ann.get(f"{path}/{wanted}"))
        witness.look(f"GET {path}/{{order}}/runs", ann.get(f"{path}/{wanted}/runs"))
        witness.look(f"GET {path}/{{order}}/upcoming", ann.get(f"{path}/{wanted}/upcoming?count=3"))
    for given in ({"amount": "7.50", "times": 3}, {}, {"amount": 1.001}, {"endsAt": "soon"}):
        witness.look(f"PATCH {path}/{{order}}", ann.patch(f"{path}/{order}", given))
    for verb in ("pause", "pause", "resume", "cancel", "cancel", "resume"):
        witness.look(f"POST {path}/{{order}}/{verb}", ann.post(f"{path}/{order}/{verb}"))
    witness.look(f"PATCH {path}/{{order}}", ann.patch(f"{path}/{order}", {"times": 4}))


def _look_at_events(house: House, witness: Witness, ann: Person) -> None:
    for query in ("", "?after=1&limit=1", "?after=-1"):
        witness.look("GET /api/events", ann.get(f"/api/events{query}"))
    email = f"{fresh()}@example.com"
    who = ("--email", email, "--name", "Olga", "--password", "a long secret", "--operator")
    assert house.service.command("user", "create", *who).returncode == 0
    for person in (ann, house.client.log_in(email, "a long secret")):
        witness.look("GET /api/followers", person.get("/api/followers"))
    witness.look("GET /schemas/events", house.client.request("GET", "/schemas/events"))
    for name in ("hold.created", "no.such"):
        answer = house.client.request("GET", f"/schemas/events/{name}")
        witness.look("GET /schemas/events/{type}", answer)


def _look_at_webhooks(witness: Witness, ann: Person) -> None:
    create, one = "POST /api/webhooks", "GET /api/webhooks/{webhook}"
    given = {
        "url": "https://receiver.example/hook",
        "eventTypes": ["transaction.*"],
        "description": "Rent book",
    }
    webhook = witness.look(create, ann.post("/api/webhooks", given))["webhook"]["_id"]
    for change in ({"url": ""}, {"url": "http://127.0.0.1/"}, {"eventTypes": ["?"]}, {"scope": "ALL"}):
        witness.look(create, ann.post("/api/webhooks", given | change))
    witness.look("GET /api/webhooks", ann.get("/api/webhooks"))
    for wanted in (webhook, _UNKNOWN, "no-id"):
        path = f"/api/webhooks/{wanted}"
        witness.look(one, ann.get(path))
        witness.look("GET /api/webhooks/{webhook}/deliveries", ann.get(f"{path}/deliveries"))
        witness.look("GET /api/webhooks/{webhook}/attempts", ann.get(f"{path}/attempts"))
        witness.look("POST /api/webhooks/{webhook}/rotate", ann.post(f"{path}/rotate", {"overlapHours": 1}))
        for body in ({"from": 1, "to": 2}, {"from": 2, "to": 1}, {}):
            witness.look("POST /api/webhooks/{webhook}/replay", ann.post(f"{path}/replay", body))
        resend = "POST /api/webhooks/{webhook}/deliveries/{position}/resend"
        for position in (1, 10**18, 0):
            witness.look(resend, ann.post(f"{path}/deliveries/{position}/resend"))
        change = "PATCH /api/webhooks/{webhook}"
        for body in ({"status": "DISABLED"}, {"status": "odd"}, {"description": None}):
            witness.look(change, ann.patch(path, body))
        witness.look("POST /api/webhooks/{webhook}/replay", ann.post(f"{path}/replay", {"from": 1}))
        witness.look("DELETE /api/webhooks/{webhook}", ann.delete(path))


def _look_at_reports(house: House, witness: Witness, ann: Person) -> None:
    for person in (ann, house.staff("operator")):
        for verb, end in (
            ("close", "1999-12-31"),
            ("close", "1999-12-31"),
            ("close", "soon"),
            ("reopen", None),
        ):
            body = {"currency": "INR", "until": end, "reason": "to see"}
            witness.look(f"POST /api/periods/{verb}", person.post(f"/api/periods/{verb}", body))
        for path, queries in (
            ("/api/periods", ("", "limit=0")),
            ("/api/reports/trial-balance", ("", "position=1", "at=2026-01-01T00:00:00Z", "position=x")),
            ("/api/reports/balances", ("by=owner&limit=1", "by=kind", "by=none", "cursor=x")),
            (
                "/api/reports/restatements",
                ("currency=INR&until=1999-12-31", "currency=JPY&until=2026-01-01", ""),
            ),
        ):
            for query in queries:
                witness.look(f"GET {path}", person.get(f"{path}?{query}"))


def _look_at_mail(house: House, witness: Witness, ann: Person) -> None:
    path = "/api/users/me/mail-preferences"
    witness.look(f"GET {path}", ann.get(path))
    for wanted in (
        {"locale": "de-DE", "timeZone": "Europe/Berlin", "digest": "daily", "events": {"sent": False}},
        {},
        {"timeZone": "Nowhere"},
        {"events": {"passwordReset": False}},
    ):
        witness.look(f"PUT {path}", ann.put(path, wanted))
    [mail, *_] = mails_to(house.client, ann.email)
    for number in (mail["number"], 10**9):
        answer = house.client.request("GET", f"/dev/mail/{number}")
        witness.look("GET /dev/mail/{mail}", answer)
    witness.look("GET /dev/mail", house.client.request("GET", "/dev/mail?limit=1"))
    witness.look("GET /dev/mail", house.client.request("GET", "/dev/mail?limit=0"))
    for method in ("GET", "POST"):
        witness.look(f"{method} /unsubscribe", house.client.request(method, "/unsubscribe?token=x"))


def _look_at_pages(house: House, witness: Witness) -> None:
    get = house.client.request
    witness.look("GET /health", get("GET", "/api/health"))
    for code in ("not_found", "no_such_code"):
        witness.look("GET /errors/{code}", get("GET", f"/errors/{code}"))
    # The document says of itself only what every OpenAPI document is.
    assert get("GET", "/openapi.json").status_code == 200
    witness.seen.add(("GET /openapi.json", 200))
    # Not JSON: tests/contract/test_metrics.py reads it.
    assert get("GET", "/metrics").status_code == 200
    witness.seen.add(("GET /metrics", 200))
