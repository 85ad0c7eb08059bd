"""What is asked for every event, every request and every look: a few pages, however many there are."""

from collections.abc import Callable

import pytest

from nostro.store.arrays import bytes_array, plain_array
from nostro.store.database import _COMMITTER, _WAITS
from tests.contract.planner import Planner

USERS, WEBHOOKS, EVENTS = 2_000, 10_000, 60_000

_SEED = f"""
SET session_replication_role = replica;
INSERT INTO users (id, email, name, password_hash, created_at, updated_at)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), 'u' || n || '@example.com', 'U', '', now(), now()
  FROM generate_series(1, {USERS}) AS n;
INSERT INTO webhooks (id, owner, scope, url, event_types, secret, starts_after, last_position, created_at,
                      updated_at)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), decode(lpad(to_hex(1 + n % {USERS}), 24, '0'), 'hex'),
       CASE WHEN n <= 3 THEN 'ALL' ELSE 'OWN' END::webhook_scope, 'https://receiver.example/', ARRAY['*'], '',
       0, 0, now(), now()
  FROM generate_series(1, {WEBHOOKS}) AS n;
INSERT INTO followers (name, position) VALUES ('webhooks', 0) ON CONFLICT DO NOTHING;
INSERT INTO deliveries (follower, position, target, payload, status, sent_at)
SELECT 'webhooks', n, lpad(to_hex(1 + n % {WEBHOOKS}), 24, '0'), '{{}}', 'SENT', now()
  FROM generate_series(1, {EVENTS}) AS n;
INSERT INTO webhook_attempts (id, webhook_id, position, attempt, requested_at, http_status)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), decode(lpad(to_hex(1 + n % {WEBHOOKS}), 24, '0'), 'hex'), n, 1,
       now() - n * interval '1 minute', 204
  FROM generate_series(1, {EVENTS}) AS n;
SET session_replication_role = DEFAULT;
"""


def _id(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _bytea(number: int) -> str:
    return f"'\\x{_id(number).hex()}'"


_IDS = [_id(4 + 97 * n) for n in range(20)]
STATEMENTS: dict[str, tuple[dict[str, str], list[str], int]] = {
    "webhooks_for": (_COMMITTER, [f"'{bytes_array(_IDS)}'"], 400),
    "note_queued": (_COMMITTER, [f"'{bytes_array(_IDS)}'", f"'{plain_array([9] * 20)}'"], 300),
    "webhook_by_id": (_COMMITTER, [_bytea(9)], 10),
    "begin_webhook_attempt": (_COMMITTER, [_bytea(10**9), _bytea(9), "7", "1"], 60),
    "end_webhook_attempt": (_COMMITTER, [_bytea(9), "5", "204", "NULL"], 60),
    "note_delivered": (_COMMITTER, [_bytea(9)], 40),
    "note_failed": (_COMMITTER, [_bytea(9), "5.0"], 60),
    "forget_old_webhook_attempts": (_COMMITTER, ["40", "50"], 1_000),
    "webhooks_of": (_WAITS, [_bytea(9)], 60),
    "count_webhooks": (_WAITS, [_bytea(9)], 20),
    "webhook_deliveries": (_WAITS, [f"'{_id(9).hex()}'", "NULL", "50", "0"], 60),
    "webhook_attempts": (_WAITS, [_bytea(9), "50", "0"], 60),
}


@pytest.fixture(scope="module")
def dsn(new_database: Callable[[], str]) -> str:
    name = new_database()
    planner = Planner(name, {})
    planner.run(_SEED)
    planner.run("ANALYZE webhooks, webhook_attempts, deliveries, users")
    planner.close()
    return name


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_about_webhooks_touches_few_pages(dsn: str, name: str) -> None:
    settings, literals, most = STATEMENTS[name]
    planner = Planner(dsn, settings)
    scanned, pages = planner.explain(name, *literals)
    planner.close()
    assert not scanned & {"webhooks", "webhook_attempts", "deliveries", "users"}, scanned
    assert pages <= most, f"{pages} pages"
