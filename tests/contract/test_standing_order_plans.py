"""The plans of what the runner asks every second and of what owners page through: a few pages, however many
orders there are."""

from collections.abc import Callable, Iterator

import pytest

from nostro.store.database import _COMMITTER, _WAITS
from tests.contract.planner import Planner

ORDERS, DUE = 20_000, 200

_SEED = f"""
SET session_replication_role = replica;
INSERT INTO standing_orders (
  id, owner, from_account, to_account, amount, currency, exponent, every_days, time_zone, starts_at,
  max_attempts, retry_minutes, catch_up, status, occurrence, attempts, due_at, wakes_at, idempotency_key,
  request, created_at, updated_at)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), decode(lpad(to_hex(1 + n % 1000), 24, '0'), 'hex'), '\\x01',
       '\\x02', 1, 'INR', 2, 1, 'UTC', now(), 3, 60, 'ALL', 'ACTIVE', 1, 0, moment, moment, 'key-' || n, '{{}}',
       now(), now()
  FROM (SELECT n, now() + (n - {DUE}) * interval '1 minute' AS moment FROM generate_series(1, {ORDERS}) n) o;
INSERT INTO standing_order_runs (order_id, occurrence, due_at, status, attempts, transaction_id, updated_at)
SELECT decode(lpad('7', 24, '0'), 'hex'), n, now(), 'EXECUTED', 1, '\\x01', now()
  FROM generate_series(1, 20000) AS n;
SET session_replication_role = DEFAULT;
"""
_OWNER = "'\\x" + "0" * 21 + "008'"


@pytest.fixture(scope="module")
def planner_with(new_database: Callable[[], str]) -> Iterator[Callable[[dict[str, str]], Planner]]:
    dsn, made = new_database(), []

    def make(settings: dict[str, str]) -> Planner:
        made.append(Planner(dsn, settings))
        return made[-1]

    make({}).run(_SEED)
    yield make
    for planner in made:
        planner.close()


@pytest.mark.parametrize("settled", [False, True], ids=["new tables", "analysed tables"])
@pytest.mark.parametrize(
    ("name", "literals", "most"),
    [
        ("claim_orders", ("64", "20"), 64 * 40),
        ("orders_of", (_OWNER, "NULL", "NULL", "20"), 60),
        ("orders_of", (_OWNER, "'\\x000000000000000000002000'", "NULL", "20"), 60),
        ("newest_orders", ("NULL", "NULL", "50"), 60),
        ("runs_of", ("'\\x000000000000000000000007'", "10000", "50"), 60),
    ],
)
def test_a_look_at_orders_costs_what_it_finds(
    planner_with: Callable[[dict[str, str]], Planner],
    name: str,
    literals: tuple[str, ...],
    most: int,
    *,
    settled: bool,
) -> None:
    background = _COMMITTER if name == "claim_orders" else _WAITS | {"plan_cache_mode": "force_generic_plan"}
    planner = planner_with(background)
    if settled:
        planner.run("ANALYZE")
    scanned, pages = planner.explain(name, *literals)
    assert not scanned & {"standing_orders", "standing_order_runs"}, scanned
    assert pages <= most, f"{pages} pages"
