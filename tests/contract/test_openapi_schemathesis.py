"""What the description promises, thousands of made-up requests confirm: right and wrong ones, by everybody.

Schemathesis reads the document from a running service and sends requests that fit it and requests that do not.
No answer may contradict the document, no wrong request may be accepted, and nothing may be a 500.
"""

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nostro.api.account_states import VERBS
from tests.client import Person
from tests.contract.conftest import DIALECTS, House

ROLES = ("anonymous", "customer", "system")
_PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()"

# A request may fit the document and still be refused with 400, where a rule is wider than a schema can say:
# what is printable, which currencies exist, how many decimal places an account has, whose address is taken,
# which days there are and which of two is later, which cursors were given out.
_RULES_BEYOND_SCHEMAS = (
    "POST /api/auth/register",
    "POST /api/auth/reset-password",
    "GET /api/accounts",
    "GET /api/accounts/all",
    "POST /api/accounts",
    "PATCH /api/accounts/{account}",
    "POST /api/accounts/{account}/status",
    *(f"POST /api/accounts/{{account}}/{verb}" for verb in VERBS),
    "GET /api/transactions",
    "GET /api/transactions/history",
    "GET /api/transactions/account/{account}",
    "GET /api/reports/trial-balance",
    "GET /api/reports/balances",
    "GET /api/reports/restatements",
    "POST /api/periods/close",
    "POST /api/periods/reopen",
    "GET /api/accounts/balance/{account}",
    "GET /api/accounts/{account}/entries",
    "GET /api/accounts/{account}/series",
    "PUT /api/accounts/{account}/limits",
    "PATCH /api/accounts/{account}/limits",
    "POST /api/currencies",
    "GET /api/rates/{base}/{quote}",
    "PUT /api/rates/{base}/{quote}",
    "GET /api/accounts/{account}/statement",
    "POST /api/transactions",
    "POST /api/transactions/bulk",
    "POST /api/transactions/system/initial-funds",
    "POST /api/transactions/exchange",
    *(f"POST /api/transactions/{{transaction}}/{verb}" for verb in ("capture", "void", "extend", "reverse")),
    "POST /api/standing-orders",
    "PATCH /api/standing-orders/{order}",
    "PUT /api/users/me/mail-preferences",
    "GET /unsubscribe",
    "POST /unsubscribe",
    "POST /api/webhooks",
    "PATCH /api/webhooks/{webhook}",
    "POST /api/webhooks/{webhook}/replay",
)
# Made-up ids are nobody's. Words of this house take their place in most requests, so that money does move.
_PLACES = {
    "payers": ("body.fromAccount",),
    "receivers": ("body.toAccount",),
    "bystanders": ("path.account", "query.accountId"),  # whose status may change without stopping the rest
    "transactions": ("path.transaction",),
    "orders": ("path.order", "query.before"),
    "webhooks": ("path.webhook",),
    "keys": ("body.idempotencyKey", "header.Idempotency-Key", "path.key"),
    "amounts": ("body.amount",),
}


def _configuration(words: dict[str, list[object]]) -> str:
    """Settings of Schemathesis, in TOML, of which JSON's numbers, strings and lists are part."""
    lines = [f"[dictionaries.{name}]\nvalues = {json.dumps(values)}" for name, values in words.items()]
    lines.append("[parameters]")
    for name, places in _PLACES.items():
        lines += [f'"{place}" = {{ dictionary = "{name}", probability = 0.9 }}' for place in places]
    for operation in _RULES_BEYOND_SCHEMAS:
        lines.append(f'[[operations]]\ninclude-name = "{operation}"')
        lines.append("checks.positive_data_acceptance.enabled = false")
    return "\n".join(lines)


def _run(house: House, role: str, folder: Path, *, examples: int, seed: int) -> int:
    """How many requests were sent; fails with the report of whatever was found. `examples` per operation."""
    person, account = house.funded(10_000)
    second = person.open_account()
    sent = person.send(account, second, 1)
    words: dict[str, list[object]] = {
        "payers": [account],
        "receivers": [second, house.funded()[1]],
        "bystanders": [person.open_account()],
        "transactions": [sent.json()["transaction"]["_id"]],
        "orders": [_order(person, account, second)],
        "webhooks": [_webhook(person) for _ in range(5)],  # some of them will be deleted
        "keys": [f"key-{number}" for number in range(12)],
        "amounts": [0.5, 1, 20],
    }
    (folder / "schemathesis.toml").write_text(_configuration(words))
    finished = subprocess.run(
        [
            *(sys.executable, "-c", _PROGRAM, "run", f"{house.service.url}/openapi.json"),
            *("--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"),
            *("--generation-database", "none", "--no-color", "--suppress-health-check", "all"),
            *_identity(house, person, role),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    generated = re.search(r"(\d+) generated", finished.stdout)
    assert generated is not None, finished.stdout
    return int(generated[1])


def _order(person: Person, source: str, target: str) -> str:
    body = {"fromAccount": source, "toAccount": target, "amount": 1, "everyDays": 1, "idempotencyKey": "order"}
    made = person.post("/api/standing-orders", body)
    return str(made.json()["standingOrder"]["_id"])


def _webhook(person: Person) -> str:
    made = person.post("/api/webhooks", {"url": "https://receiver.example/hook"})
    return str(made.json()["webhook"]["_id"])


def _identity(house: House, customer: Person, role: str) -> list[str]:
    if role == "anonymous":
        return []
    # A live stream is an answer without an end; tests/contract/test_stream.py reads some.
    without = ["--exclude-path", "/api/stream"]
    system = house.client.log_in(house.system.email, house.system.password)
    token = customer.token if role == "customer" else system.token
    # A logout would end the run's own token; anonymous runs try it, with tokens that are nobody's.
    return ["--header", f"Authorization: Bearer {token}", "--exclude-path", "/api/auth/logout", *without]


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One of its own: made-up requests freeze accounts and change rates that other tests rely on."""
    return open_house()


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_no_answer_contradicts_the_description(role: str, house: House, tmp_path: Path) -> None:
    assert _run(house, role, tmp_path, examples=3, seed=1) > 500


@pytest.mark.full
def test_ten_thousand_requests_find_no_contradiction(open_house: Callable[..., House], tmp_path: Path) -> None:
    """Another seed each time; a failure's report names it."""
    seed = random.randrange(2**32)
    sent = 0
    for dialect in DIALECTS:
        house = open_house(NOSTRO_DIALECT=dialect)
        before = house.tables.value("SELECT count(*) FROM transactions")
        for role in ROLES:
            sent += _run(house, role, tmp_path, examples=40, seed=seed)
        moved = house.tables.value("SELECT count(*) FROM transactions") - before
        # Three belong to each run's own scene: the made-up requests have to move money, too.
        assert moved > 3 * len(ROLES)
        verified = house.service.command("verify")
        assert verified.returncode == 0, verified.stdout
    assert sent >= 10_000
