"""Every mail from what really happened: to whom, with which facts, and to whom not."""

import re
from collections.abc import Callable

import pytest

from nostro.ledger.resets import PasswordResets
from nostro.ledger.service import Ledger
from tests.client import Client, Person, fresh
from tests.contract.conftest import House
from tests.contract.mails import Mail, header, mails_to, mails_until, of, rows, until

SENT, RECEIVED = "Transaction Successful!", "Amount Received Successfully!"


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One of these tests' own: in a mailbox that gets the mail of all tests, some would not be kept."""
    return open_house()


def subjects(mails: list[Mail]) -> list[str]:
    return sorted(mail["subject"] for mail in mails)


def hold(house: House, **terms: object) -> tuple[Person, Person, str]:
    """Ann, with 100 INR, holds 40 for Bob."""
    ann, account = house.funded(100)
    bob = house.client.register("Bob")
    body = {"fromAccount": account, "toAccount": bob.open_account(), "amount": 40, "hold": True}
    made = ann.post("/api/transactions", body | {"idempotencyKey": fresh()} | terms)
    assert made.status_code == 201, made.text
    return ann, bob, made.json()["transaction"]["_id"]


def test_a_registration_is_welcomed(house: House) -> None:
    ann = house.client.register("Ann Ångström")
    [mail] = mails_to(house.client, ann.email)
    assert mail["subject"] == "Welcome to Nostro!"
    assert "Dear Ann Ångström," in mail["text"]
    assert header(mail, "To") == f"Ann Ångström <{ann.email}>"
    assert "Dear Ann Ångström," in mail["html"]


def test_a_transfer_is_told_to_both_with_the_balance_that_each_had_right_after_it(house: House) -> None:
    ann, account = house.funded("100000")
    bob = house.client.register("Bob")
    target = bob.open_account(name="Rent")
    moved = [ann.send(account, target, amount).json()["transaction"] for amount in ("10.50", "2")]

    to_ann = mails_until(house.client, ann.email, lambda mails: len(mails) == 4)
    assert subjects(to_ann) == [RECEIVED, SENT, SENT, "Welcome to Nostro!"]
    funded = rows(of(to_ann, RECEIVED))
    assert (funded["Amount"], funded["New balance"]) == ("₹1,00,000.00", "₹1,00,000.00")
    assert funded["From account"].startswith("System (")

    first, second = (
        rows(next(mail for mail in to_ann if one["_id"] in mail["text"] and mail["subject"] == SENT))
        for one in moved
    )
    assert (first["Amount"], first["New balance"]) == ("₹10.50", "₹99,989.50")
    assert (second["Amount"], second["New balance"]) == ("₹2.00", "₹99,987.50")
    assert first["From account"] == account
    assert first["To account"] == f"Bob ({target})"
    assert first["Transaction reference"] == moved[0]["_id"]

    to_bob = mails_until(house.client, bob.email, lambda mails: len(mails) == 3)
    assert subjects(to_bob) == [RECEIVED, RECEIVED, "Welcome to Nostro!"]
    got = rows(next(mail for mail in to_bob if moved[0]["_id"] in mail["text"]))
    assert (got["Amount"], got["New balance"]) == ("₹10.50", "₹10.50")
    assert got["From account"] == f"Ann ({account})"
    assert got["To account"] == f"Rent ({target})"
    assert ann.email not in to_bob[1]["text"] + to_bob[2]["text"], "one's address is nobody else's business"


def test_every_mail_has_a_name_of_its_own_that_stays_the_same(house: House) -> None:
    ann, account = house.funded(10)
    ann.send(account, ann.open_account(), 1)
    mails = mails_to(house.client, ann.email, 4)  # welcome, funds, and both sides of the transfer
    names = [header(mail, "Message-ID") for mail in mails]
    assert len(set(names)) == 4
    assert all(re.fullmatch(r"<mail-\d+-[0-9a-f]{16}\.[0-9a-f]{32}@localhost>", name) for name in names)


def test_a_refused_transfer_is_told_to_nobody(house: House) -> None:
    ann, account = house.funded(10)
    target = ann.open_account()
    assert ann.send(account, target, 11).status_code == 400
    ann.send(account, target, 1, "the last")
    mails = mails_until(house.client, ann.email, lambda mails: len(mails) == 4)
    assert subjects(mails) == [RECEIVED, RECEIVED, SENT, "Welcome to Nostro!"]


def test_the_system_user_is_written_to_about_no_money(house: House) -> None:
    ann, _ = house.funded(10)
    mails_to(house.client, ann.email, 2)
    assert house.client.request("GET", f"/dev/mail?to={house.system.email}").json()["mails"] == []


@pytest.mark.parametrize(
    ("currency", "amount", "written"),
    [
        ("JPY", "1234567", "¥1,234,567"),
        ("KWD", "1234.5", "KWD\xa01,234.500"),
        ("USD", "1234567.5", "$1,234,567.50"),
    ],
)
def test_an_amount_has_its_currencys_places_and_its_readers_grouping(
    house: House, currency: str, amount: str, written: str
) -> None:
    house.system.open_account(currency=currency)
    ann = house.client.register()
    assert ann.put("/api/users/me/mail-preferences", {"locale": "en-US"}).status_code == 200
    house.system.fund(ann.open_account(currency=currency), amount)
    mail = of(mails_to(house.client, ann.email, 2), RECEIVED)
    assert rows(mail)["Amount"] == written
    assert written in mail["html"]


def test_a_reader_gets_amounts_and_times_as_asked_for(house: House) -> None:
    ann, account = house.funded("1234567.5")
    wanted = {"locale": "de-DE", "timeZone": "Asia/Kolkata"}
    assert ann.put("/api/users/me/mail-preferences", wanted).json()["mailPreferences"]["locale"] == "de_DE"
    ann.send(account, ann.open_account(), "1000")
    mails = mails_until(house.client, ann.email, lambda mails: SENT in [mail["subject"] for mail in mails])
    facts = rows(of(mails, SENT))
    assert (facts["Amount"], facts["New balance"]) == ("1.000,00\xa0₹", "1.233.567,50\xa0₹")
    assert facts["Time"].endswith("+0530")


# ── holds, reversals, legs, exchange ─────────────────────────────────────────────────────────────────


def test_a_hold_is_told_when_it_is_captured_and_not_before(house: House) -> None:
    ann, bob, made = hold(house)
    assert bob.post(f"/api/transactions/{made}/capture", {"amount": "15.50"}).status_code == 201
    to_bob = mails_to(house.client, bob.email, 2)
    to_ann = mails_until(house.client, ann.email, lambda mails: len(mails) == 3)
    assert subjects(to_ann) == [RECEIVED, SENT, "Welcome to Nostro!"]
    assert rows(of(to_ann, SENT))["Amount"] == "₹15.50"
    assert rows(of(to_ann, SENT))["New balance"] == "₹84.50"
    assert rows(of(to_bob, RECEIVED))["New balance"] == "₹15.50"


def test_a_hold_that_is_let_go_has_failed_and_its_payer_alone_is_told(house: House) -> None:
    ann, bob, made = hold(house)
    assert bob.post(f"/api/transactions/{made}/void", {"reason": "Out of stock"}).status_code in {200, 201}
    mail = of(mails_to(house.client, ann.email, 3), "Transaction Failed")
    facts = rows(mail)
    assert (facts["Amount"], facts["New balance"]) == ("₹40.00", "₹100.00")
    assert facts["Transaction reference"] == made
    assert "Bob" in mail["text"]
    assert subjects(mails_to(house.client, bob.email)) == ["Welcome to Nostro!"]


def test_a_hold_that_expires_has_failed(house: House) -> None:
    ann, _, made = hold(house, expiresIn=1)
    mails = mails_to(house.client, ann.email, 3)
    facts = rows(of(mails, "Transaction Failed"))
    assert (facts["Reason"], facts["Transaction reference"]) == ("It expired", made)


def test_the_rest_of_a_hold_that_was_captured_in_part_is_no_failure(house: House) -> None:
    ann, bob, made = hold(house)
    assert bob.post(f"/api/transactions/{made}/capture", {"amount": 1}).status_code == 201
    assert bob.post(f"/api/transactions/{made}/void", {}).status_code in {200, 201}
    ann.send(ann.get("/api/accounts").json()["accounts"][0]["_id"], ann.open_account(), 1)
    mails = mails_until(house.client, ann.email, lambda mails: len(mails) == 5)
    assert subjects(mails) == [RECEIVED, RECEIVED, SENT, SENT, "Welcome to Nostro!"]


def test_a_reversal_is_told_to_both(house: House) -> None:
    ann, account = house.funded(100)
    bob = house.client.register("Bob")
    moved = ann.send(account, bob.open_account(), 10).json()["transaction"]["_id"]
    assert bob.post(f"/api/transactions/{moved}/reverse", {"amount": 4}).status_code == 201
    back = of(mails_to(house.client, ann.email, 4), "Transaction Reversed")
    gone = of(mails_to(house.client, bob.email, 3), "Transaction Reversed")
    assert "₹4.00 came back to you from Bob." in back["text"]
    assert "₹4.00 went back from you to Ann." in gone["text"]
    assert (rows(back)["New balance"], rows(gone)["New balance"]) == ("₹94.00", "₹6.00")
    assert rows(back)["Of transaction"] == moved


def test_of_many_legs_everybody_is_told_their_own(house: House) -> None:
    ann, account = house.funded(100)
    shop, tax = house.client.register("Shop"), house.client.register("Tax")
    legs = [
        {"fromAccount": account, "toAccount": shop.open_account(), "amount": 80},
        {"fromAccount": account, "toAccount": tax.open_account(), "amount": "17.50"},
    ]
    assert ann.post("/api/transactions", {"legs": legs, "idempotencyKey": fresh()}).status_code == 201
    to_ann = of(mails_to(house.client, ann.email, 3), SENT)
    assert rows(to_ann)["Amount"] == "₹97.50"
    assert "to Shop and Tax." in to_ann["text"]
    to_tax = of(mails_to(house.client, tax.email, 2), RECEIVED)
    assert (rows(to_tax)["Amount"], rows(to_tax)["New balance"]) == ("₹17.50", "₹17.50")
    assert "Shop" not in to_tax["text"]


def test_an_exchange_is_told_in_both_currencies(house: House) -> None:
    house.system.open_account(currency="EUR")
    house.tables.script(
        "INSERT INTO rates (base, quote, rate, maker, updated_at) "
        f"VALUES ('INR', 'EUR', 0.011, '\\x{house.system.id}', now()) ON CONFLICT DO NOTHING"
    )
    ann, account = house.funded(1000)
    body = {"fromAccount": account, "toAccount": ann.open_account(currency="EUR"), "amount": 1000}
    answer = ann.post("/api/transactions/exchange", body | {"idempotencyKey": fresh()})
    assert answer.status_code == 201, answer.text
    mails = mails_to(house.client, ann.email, 4)
    arrived = rows(next(mail for mail in mails if "€" in mail["text"]))
    assert (arrived["Amount"], arrived["New balance"]) == ("€11.00", "€11.00")
    assert arrived["Exchange rate"] == "1 INR = 0.011 EUR"
    left = rows(of(mails, SENT))
    assert (left["Amount"], left["New balance"]) == ("₹1,000.00", "₹0.00")


# ── names and addresses that want more ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "=?utf-8?q?x=0D=0ABcc:_evil@example.com?=", 'Ann", <evil@example.com>'],
)
def test_a_name_stays_a_name(house: House, name: str) -> None:
    ann = house.client.register(name)
    [mail] = mails_to(house.client, ann.email)
    assert [one["name"] for one in mail["headers"]].count("Bcc") == 0
    assert header(mail, "To").endswith(f"<{ann.email}>")
    assert "<script" not in mail["html"]
    evil = "evil@example.com"
    assert house.client.request("GET", f"/dev/mail?to={evil}").json()["mails"] == []


# ── passwords ────────────────────────────────────────────────────────────────────────────────────────


def reset_link(mail: Mail) -> dict[str, str]:
    found = re.search(r"http://[^/\s]+/reset-password#token=(\S+)&email=(\S+)", mail["text"])
    assert found is not None, mail["text"]
    return {"token": found[1], "email": found[2].replace("%40", "@")}


def ask_for_link(client: Client, email: str) -> None:
    assert client.request("POST", "/api/auth/forgot-password", {"email": email}).status_code == 200


def reset(client: Client, link: dict[str, str], password: str) -> int:
    return client.request("POST", "/api/auth/reset-password", link | {"newPassword": password}).status_code


def test_a_link_comes_by_mail_works_once_and_voids_all_tokens(house: House) -> None:
    ann = house.client.register()
    ask_for_link(house.client, ann.email)
    link = reset_link(of(mails_to(house.client, ann.email, 2), "Set a new Nostro password"))
    assert reset(house.client, link, "a new secret") == 200
    assert reset(house.client, link, "another secret") == 400
    assert ann.get("/api/auth/me").status_code == 401
    assert house.client.log_in(ann.email, "a new secret").get("/api/auth/me").status_code == 200
    changed = of(mails_to(house.client, ann.email, 3), "Your Nostro password was changed")
    assert "every earlier login has ended" in changed["text"]


def test_a_link_that_was_used_ends_all_that_were_asked_for_before(house: House) -> None:
    ann = house.client.register()
    for _ in range(2):
        ask_for_link(house.client, ann.email)
    mails = mails_to(house.client, ann.email, 3)
    first, second = (reset_link(mail) for mail in mails if "reset-password" in mail["text"])
    assert reset(house.client, second, "a new secret") == 200
    assert reset(house.client, first, "another secret") == 400


def test_a_link_goes_only_to_an_address_that_is_known(house: House) -> None:
    ask_for_link(house.client, "nobody@nowhere.example")
    ann = house.client.register()
    ask_for_link(house.client, ann.email)
    mails_to(house.client, ann.email, 2)
    assert house.client.request("GET", "/dev/mail?to=nobody@nowhere.example").json()["mails"] == []


def test_the_token_of_a_link_is_in_no_delivery_and_in_no_log(house: House) -> None:
    ann = house.client.register()
    ask_for_link(house.client, ann.email)
    token = reset_link(of(mails_to(house.client, ann.email, 2), "Set a new Nostro password"))["token"]
    stored = house.tables.rows(
        "SELECT payload::text AS payload, last_error FROM deliveries WHERE follower = 'mail'"
    )
    assert stored
    secret = token.partition(".")[2]
    assert not [row for row in stored if secret in row["payload"] + (row["last_error"] or "")]
    assert secret not in house.service.log.read_text()


def test_a_link_that_would_be_too_old_is_set_aside(open_house: Callable[..., House]) -> None:
    """Mail that was held up for half an hour: the link in it would not work."""
    house = open_house(NOSTRO_FOLLOWERS="off")
    ann = house.client.register()
    ask_for_link(house.client, ann.email)
    house.tables.script(
        "ALTER TABLE events DISABLE TRIGGER events_never_change;"
        "UPDATE events SET created_at = created_at - interval '31 minutes';"
        "INSERT INTO followers (name, position) VALUES ('mail', 0)"
    )
    again = open_house(database=house.tables.dsn)
    mails_to(again.client, ann.email)
    query = "SELECT last_error FROM deliveries WHERE status = 'SET_ASIDE'"
    [set_aside] = until(lambda: again.tables.rows(query), bool)
    assert set_aside["last_error"] == "the link would not work any more"


@pytest.mark.anyio
async def test_no_second_link_is_made_from_a_wish_that_was_granted(ledger: Ledger) -> None:
    """A mail that is sent again after the password was changed must not carry a link that works again."""
    resets = PasswordResets(ledger.database, ledger.users.passwords, b"secret")
    ann = await ledger.users.register("ann@example.com", "correct horse", "Ann")
    position = await resets.ask(ann.email)
    token = await resets.link_token(position)
    assert token is not None
    await resets.reset(ann.email, token, "a new secret")
    assert await resets.link_token(position) is None
