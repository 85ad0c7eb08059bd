"""What the description promises, thousands of made-up requests confirm: right and wrong ones, by everybody.

Schemathesis reads the document from a running service and sends requests that fit it and requests that do not.
No answer may contradict the document, no wrong request may be accepted, and nothing may be a 500.
"""

import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.conftest import DIALECTS, House

ROLES = ("anonymous", "customer", "system")
_PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()"

# A request may fit the document and still be refused with 400, where a rule is wider than a schema can say:
# what is printable, which currencies exist, how many decimal places an account has, whose address is taken.
_RULES_BEYOND_SCHEMAS = (
    "POST /api/auth/register",
    "POST /api/auth/reset-password",
    "POST /api/accounts",
    "POST /api/accounts/{account}/status",
    "POST /api/transactions",
    "POST /api/transactions/system/initial-funds",
)
_CONFIGURATION = "\n".join(
    f'[[operations]]\ninclude-name = "{name}"\nchecks.positive_data_acceptance.enabled = false\n'
    for name in _RULES_BEYOND_SCHEMAS
)


def _run(house: House, role: str, folder: Path, *, examples: int, seed: int) -> int:
    """How many requests were sent; fails with the report of whatever was found. `examples` per operation."""
    (folder / "schemathesis.toml").write_text(_CONFIGURATION)
    finished = subprocess.run(
        [
            *(sys.executable, "-c", _PROGRAM, "run", f"{house.service.url}/openapi.json"),
            *("--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"),
            *("--generation-database", "none", "--no-color", "--suppress-health-check", "all"),
            *_identity(house, role),
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


def _identity(house: House, role: str) -> list[str]:
    if role == "anonymous":
        return []
    if role == "customer":
        person, _ = house.funded(10_000)
        token = person.token
    else:
        token = house.client.log_in(house.system.email, house.system.password).token
    # A logout would end the run's own token; anonymous runs try it, with tokens that are nobody's.
    return ["--header", f"Authorization: Bearer {token}", "--exclude-path", "/api/auth/logout"]


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_no_answer_contradicts_the_description(role: str, house: House, tmp_path: Path) -> None:
    assert _run(house, role, tmp_path, examples=5, seed=1) > 500


@pytest.mark.full
def test_ten_thousand_requests_find_no_contradiction(house_of: Callable[[str], House], tmp_path: Path) -> None:
    """Another seed each time; a failure's report names it."""
    seed = random.randrange(2**32)
    sent = 0
    for dialect in DIALECTS:
        for role in ROLES:
            sent += _run(house_of(dialect), role, tmp_path, examples=40, seed=seed)
    assert sent >= 10_000
