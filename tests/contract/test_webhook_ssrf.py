"""No webhook makes a running service connect to itself or its neighbours, whatever its URL looks like."""

import socket
from collections.abc import Iterator

import pytest

from tests.contract.conftest import House
from tests.contract.test_webhooks import until
from tests.hostile_urls import HOSTILE_URLS
from tests.sink import Sink


@pytest.fixture
def sink() -> Iterator[Sink]:
    """On every interface: whatever leads to this machine leads here."""
    opened = Sink("0.0.0.0")
    yield opened
    opened.close()


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_a_hostile_url_is_refused(house: House, url: str) -> None:
    ann = house.client.register()
    refused = ann.post("/api/webhooks", {"url": url.replace("{port}", "8080")})
    assert refused.status_code == 400, url
    assert refused.json()["code"] in {"invalid_field", "missing_field"}
    assert ann.get("/api/webhooks").json()["webhooks"] == []


def test_a_hostile_url_that_got_in_reaches_nobody(house: House, sink: Sink) -> None:
    """Written into the table past every check; and a name that leads here, which no check can know."""
    ann, account = house.funded(100)
    name = f"http://{socket.gethostname()}:{sink.port}/".lower()
    made = ann.post("/api/webhooks", {"url": name, "eventTypes": ["transaction.*"]})
    assert made.status_code == 201, made.text
    webhook = made.json()["webhook"]["_id"]
    urls = [url.replace("{port}", str(sink.port)) for url in HOSTILE_URLS]
    columns = "owner, scope, event_types, secret, starts_after, last_position, created_at, updated_at"
    for number, url in enumerate(urls):
        house.tables.rows(
            f"INSERT INTO webhooks (id, url, {columns}) SELECT $2, $3, {columns} FROM webhooks WHERE id = $1",
            bytes.fromhex(webhook),
            number.to_bytes(12, "big"),
            url,
        )
    position = ann.send(account, ann.open_account(), 1).json()["transaction"]["position"]
    tried = until(lambda: _tried(house, position, len(urls) + 1), 120)
    assert {row["status"] for row in tried} == {"PENDING"}
    assert sink.connections == 0
    house.tables.script("DELETE FROM webhooks; DELETE FROM deliveries WHERE follower = 'webhooks'")


def _tried(house: House, position: int, count: int) -> list[dict[str, object]]:
    """Every delivery of the event, once all have failed."""
    rows = house.tables.rows(
        "SELECT status::text AS status FROM deliveries WHERE position = $1 AND last_error IS NOT NULL", position
    )
    return [dict(row) for row in rows] if len(rows) == count else []
