"""When a month is over, every account that moved in it is told once that its statement can be fetched."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from nostro.domain.money import Currency
from nostro.ledger.service import open_ledger
from tests.contract.conftest import House
from tests.contract.mails import header, mails_to, of, rows, until
from tests.contract.past import move

FIRST = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
LAST_DAY = FIRST - timedelta(days=1)
SINCE, UNTIL = LAST_DAY.replace(day=1), LAST_DAY


def told(house: House) -> list[tuple[str, str]]:
    found = house.tables.rows("SELECT account_id, details::text FROM events WHERE kind = 'STATEMENT_READY'")
    return [(row["account_id"].hex(), row["details"]) for row in found]


def tell(house: House, processes: int = 1) -> None:
    """What a service does every hour."""

    async def look() -> None:
        async with open_ledger(house.tables.dsn, house_currency=Currency("INR", 2)) as ledger:
            while await ledger.statement_notices.tell():
                pass

    async def all_look() -> None:
        await asyncio.gather(*(look() for _ in range(processes)))

    asyncio.run(all_look())


@pytest.fixture
def house(open_house):  # type: ignore[no-untyped-def]
    """A service that has found nothing to tell yet, when it was started; now it may look again."""
    opened = open_house()
    until(lambda: opened.tables.rows("SELECT FROM statement_rounds WHERE finished_at IS NOT NULL"), bool)
    opened.tables.script("DELETE FROM statement_rounds")
    return opened


def day(when: datetime) -> str:
    return f"{when:%Y-%m-%d}"


def test_each_account_that_moved_is_told_once_and_no_other(house: House) -> None:
    ann, bob = house.client.register("Ann"), house.client.register("Bob")
    first, second, early, quiet = (person.open_account() for person in (ann, bob, ann, bob))
    settlement = house.tables.value("SELECT id FROM accounts WHERE settlement").hex()
    move(house.tables, settlement, early, 500, (SINCE - timedelta(seconds=1)).isoformat()[:19])
    move(house.tables, settlement, first, 1000, SINCE.isoformat()[:19])
    move(house.tables, first, second, 100, (FIRST - timedelta(seconds=1)).isoformat()[:19])
    move(house.tables, settlement, quiet, 100, FIRST.isoformat()[:19])
    tell(house, processes=3)
    tell(house)
    expected = f'{{"since": "{day(SINCE)}", "until": "{day(UNTIL)}"}}'
    assert sorted(told(house)) == sorted([(first, expected), (second, expected)])
    assert house.service.command("verify").returncode == 0


def test_the_notice_comes_by_mail_and_as_an_event(house: House) -> None:
    ann = house.client.register("Ann")
    account = ann.open_account(name="Rent")
    settlement = house.tables.value("SELECT id FROM accounts WHERE settlement").hex()
    move(house.tables, settlement, account, 1000, SINCE.isoformat()[:19])
    choose = {"locale": "en-GB", "timeZone": "America/New_York"}
    assert ann.put("/api/users/me/mail-preferences", choose).status_code == 200
    tell(house)
    mail = of(mails_to(house.client, ann.email, 3), "Your statement is ready")
    facts = rows(mail)
    assert facts["Account"] == f"Rent ({account})"
    assert facts["From"] == f"{SINCE.day} {SINCE:%B %Y}"
    assert facts["Until"] == f"{UNTIL.day} {UNTIL:%B %Y}"
    assert "statementReady" in header(mail, "List-Unsubscribe")
    events = ann.get("/api/events?limit=200").json()["events"]
    ready = [event["data"] for event in events if event["type"] == "io.nostro.statement.ready"]
    assert [data["details"] for data in ready] == [{"since": day(SINCE), "until": day(UNTIL)}]
    query = f"from={day(SINCE)}&to={day(UNTIL)}"
    statement = ann.get(f"/api/accounts/{account}/statement?{query}")
    assert statement.status_code == 200, statement.text


def test_more_accounts_than_one_chunk_are_told_across_a_kill(house: House) -> None:
    """Each chunk is one transaction with how far it came: whoever goes on begins behind it."""
    ann = house.client.register("Ann")
    accounts = [ann.open_account() for _ in range(3)]
    house.tables.script(
        "INSERT INTO accounts (id, owner, currency, exponent, floor, created_at, updated_at) "
        f"SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), '\\x{ann.id}', 'INR', 2, 0, now(), now() "
        "FROM generate_series(1, 450) AS n"
    )
    settlement = house.tables.value("SELECT id FROM accounts WHERE settlement").hex()
    for account in ("0" * 23 + "1", *accounts):
        move(house.tables, settlement, account, 100, SINCE.isoformat()[:19])

    async def chunks() -> list[bool]:
        async with open_ledger(house.tables.dsn, house_currency=Currency("INR", 2)) as ledger:
            return [await ledger.statement_notices.tell()]

    assert asyncio.run(chunks()) == [True]
    assert [account for account, _ in told(house)] == ["0" * 23 + "1"]
    tell(house)
    assert sorted(account for account, _ in told(house)) == sorted(["0" * 23 + "1", *accounts])
