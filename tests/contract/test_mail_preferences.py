"""Preferences: what a reader asked for is what happens, by the API and by the link at the foot of a mail."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nostro.domain.errors import InvalidField, InvalidUnsubscribeLink
from nostro.domain.ids import ObjectId
from nostro.domain.mail import MailKind, MailPreferences
from nostro.ledger.mail_preferences import MailChange, MailReaders, changed
from nostro.ledger.service import Ledger
from tests.client import Person
from tests.contract.conftest import House
from tests.contract.mails import Mail, header, mails_to, mails_until, of, until

PATH = "/api/users/me/mail-preferences"
SENT, RECEIVED = "Transaction Successful!", "Amount Received Successfully!"
ALL_WANTED = dict.fromkeys(("sent", "received", "failed", "reversed", "statementReady"), True)


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One of these tests' own: in a mailbox that gets the mail of all tests, some would not be kept."""
    return open_house()


def choose(person: Person, **wanted: object) -> dict[str, Any]:
    answer = person.put(PATH, wanted)
    assert answer.status_code == 200, answer.text
    chosen: dict[str, Any] = answer.json()["mailPreferences"]
    return chosen


def test_whoever_never_chose_gets_everything_at_once(house: House) -> None:
    ann = house.client.register()
    usual = {"locale": None, "timeZone": "UTC", "digest": "off", "events": ALL_WANTED}
    assert ann.get(PATH).json() == {"success": True, "mailPreferences": usual}


def test_a_change_leaves_alone_what_it_does_not_name(house: House) -> None:
    ann = house.client.register()
    choose(ann, locale="de-AT", events={"sent": False})
    choose(ann, timeZone="Europe/Vienna")
    now = choose(ann, events={"received": False, "sent": True})
    assert now == {
        "locale": "de_AT",
        "timeZone": "Europe/Vienna",
        "digest": "off",
        "events": ALL_WANTED | {"received": False},
    }
    assert choose(ann, locale="")["locale"] is None
    assert ann.get(PATH).json()["mailPreferences"]["timeZone"] == "Europe/Vienna"


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"locale": "xx-YY"}, "locale"),
        ({"locale": "../../etc/passwd"}, "locale"),
        ({"locale": "e" * 5000}, "locale"),
        ({"locale": 1}, "locale"),
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"timeZone": "../etc/passwd"}, "timeZone"),
        ({"digest": "hourly"}, "digest"),
        ({"digest": True}, "digest"),
        ({"events": []}, "events"),
        ({"events": {"sent": 0}}, "events"),
        ({"events": {"sent": "no"}}, "events"),
        ({"events": {"passwordReset": False}}, "events"),
        ({"events": {"digest": False}}, "events"),
    ],
)
def test_what_cannot_be_chosen_is_refused_and_changes_nothing(
    house: House, wanted: dict[str, Any], field: str
) -> None:
    ann = house.client.register()
    answer = ann.put(PATH, {"timeZone": "Asia/Tokyo"} | wanted)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "invalid_field", field)
    assert ann.get(PATH).json()["mailPreferences"]["timeZone"] == "UTC"


@given(locale=st.text(max_size=60))
def test_any_text_for_a_locale_is_one_or_is_refused(locale: str) -> None:
    try:
        after = changed(MailPreferences(), MailChange(locale=locale))
    except InvalidField:
        return
    assert after.locale is None or re.fullmatch(r"\w+", after.locale)


def test_mail_that_is_not_wanted_is_not_sent(house: House) -> None:
    ann, account = house.funded(100)
    mails_to(house.client, ann.email, 2)
    choose(ann, events={"sent": False})
    ann.send(account, ann.open_account(), 1)
    mails = mails_to(house.client, ann.email, 3)
    assert [mail["subject"] for mail in mails[2:]] == [RECEIVED]


def test_each_has_preferences_of_their_own_and_needs_a_login_for_them(house: House) -> None:
    ann, bob = house.client.register("Ann"), house.client.register("Bob")
    choose(ann, digest="daily")
    assert bob.get(PATH).json()["mailPreferences"]["digest"] == "off"
    for method in ("GET", "PUT"):
        assert house.client.request(method, PATH, {}).status_code == 401


# ── the link at the foot of a mail ───────────────────────────────────────────────────────────────────


def unsubscribe_path(mail: Mail) -> str:
    link = header(mail, "List-Unsubscribe").strip("<>")
    assert link in mail["text"]
    return "/unsubscribe?" + link.partition("?")[2]


def test_a_mail_program_ends_mail_of_a_kind_in_one_step(house: House) -> None:
    ann, _ = house.funded(100)
    mail = of(mails_to(house.client, ann.email, 2), RECEIVED)
    assert header(mail, "List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    for _ in range(2):  # again changes nothing
        answer = house.client.request(
            "POST",
            unsubscribe_path(mail),
            content=b"List-Unsubscribe=One-Click",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert (answer.status_code, "no more e-mails about money you received" in answer.text) == (200, True)
    assert ann.get(PATH).json()["mailPreferences"]["events"] == ALL_WANTED | {"received": False}


def test_following_the_link_asks_before_it_ends_anything(house: House) -> None:
    ann, _ = house.funded(100)
    path = unsubscribe_path(of(mails_to(house.client, ann.email, 2), RECEIVED))
    answer = house.client.request("GET", path)
    assert answer.status_code == 200
    assert '<form method="post">' in answer.text
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert ann.get(PATH).json()["mailPreferences"]["events"] == ALL_WANTED


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_that_was_not_sent_ends_nothing(house: House, method: str) -> None:
    ann, _ = house.funded(100)
    bob = house.client.register()
    mail = of(mails_to(house.client, ann.email, 2), RECEIVED)
    token = unsubscribe_path(mail).partition("token=")[2]
    user, kind, signature = token.split(".")
    for forged in (
        "",
        "x",
        "..",
        f"{bob.id}.{kind}.{signature}",
        f"{user}.sent.{signature}",
        f"{user}.passwordReset.{signature}",
        f"{user}.{kind}.{'0' * 32}",
        f"{user}.{kind}.ä",
        f"{user}.{kind}.{signature}.",
        f"{user}.{kind}.%00",
    ):
        answer = house.client.request(method, f"/unsubscribe?token={forged}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_unsubscribe_link"), forged
    assert ann.get(PATH).json()["mailPreferences"]["events"] == ALL_WANTED


@pytest.mark.anyio
async def test_a_link_of_another_ledger_with_the_same_secret_ends_nothing(ledger: Ledger) -> None:
    readers = MailReaders(ledger.database, b"shared")
    stranger = ObjectId(b"somebody....")
    with pytest.raises(InvalidUnsubscribeLink):
        await readers.unsubscribe(readers.unsubscribe_token(stranger, MailKind.SENT))


def test_mail_about_passwords_has_no_such_link(house: House) -> None:
    ann = house.client.register()
    house.client.request("POST", "/api/auth/forgot-password", {"email": ann.email})
    for mail in mails_to(house.client, ann.email, 2):
        assert not [one for one in mail["headers"] if one["name"].startswith("List-")]
        assert "unsubscribe" not in mail["text"] + mail["html"]


def test_mail_that_waited_while_its_reader_switched_it_off_is_set_aside(
    open_house: Callable[..., House],
) -> None:
    house = open_house(
        NOSTRO_MAIL="smtp", SMTP_HOST="127.0.0.1", SMTP_PORT="1", SMTP_TLS="none", EMAIL_FROM="a@b.c"
    )
    ann, _ = house.funded(100)
    query = "SELECT last_error FROM deliveries WHERE payload->>'kind' = 'received' AND last_error IS NOT NULL"
    until(lambda: house.tables.rows(query), bool)
    choose(ann, events={"received": False})
    house.tables.script("UPDATE deliveries SET due_at = now() WHERE status = 'PENDING'")
    again = open_house(database=house.tables.dsn)
    query = "SELECT last_error FROM deliveries WHERE payload->>'kind' = 'received' AND status = 'SET_ASIDE'"
    [set_aside] = until(lambda: again.tables.rows(query), bool)
    assert set_aside["last_error"] == "the reader does not want this mail any more"


# ── summaries ────────────────────────────────────────────────────────────────────────────────────────


def test_a_digest_stands_for_the_single_mails_of_a_day_once(house: House) -> None:
    ann, account = house.funded(100)
    mails_to(house.client, ann.email, 2)
    choose(ann, digest="daily", timeZone="Asia/Kolkata")
    other = ann.open_account()
    for amount in (1, 2):
        ann.send(account, other, amount)
    waiting = "SELECT due_at FROM mail_digest_items WHERE user_id = $1"
    items = until(lambda: house.tables.rows(waiting, bytes.fromhex(ann.id)), lambda rows: len(rows) == 4)
    assert {(row["due_at"].hour, row["due_at"].minute) for row in items} == {(1, 30)}, "seven in Kolkata"
    assert len(mails_to(house.client, ann.email, 2)) == 2

    house.tables.script(
        "ALTER TABLE mail_digest_items DROP CONSTRAINT mail_digest_items_digest_fkey;"
        f"UPDATE mail_digests SET due_at = now() - interval '1 hour' WHERE user_id = '\\x{ann.id}';"
        "UPDATE mail_digest_items i SET due_at = d.due_at FROM mail_digests d WHERE d.user_id = i.user_id;"
        "ALTER TABLE mail_digest_items ADD CONSTRAINT mail_digest_items_digest_fkey "
        "FOREIGN KEY (user_id, due_at) REFERENCES mail_digests (user_id, due_at)"
    )
    digest = of(mails_to(house.client, ann.email, 3), "Your day at Nostro")
    assert digest["text"].count(SENT) == 2
    assert digest["text"].count(RECEIVED) == 2
    balances = [line.split(": ")[1] for line in digest["text"].splitlines() if "New balance" in line]
    assert balances == ["₹99.00", "₹1.00", "₹97.00", "₹3.00"]

    ann.send(account, other, 5)
    items = until(lambda: house.tables.rows(waiting, bytes.fromhex(ann.id)), lambda rows: len(rows) == 6)
    house.client.request("POST", "/api/auth/forgot-password", {"email": ann.email})
    mails = mails_until(house.client, ann.email, lambda mails: len(mails) == 4)
    assert [mail["subject"] for mail in mails[2:]] == ["Your day at Nostro", "Set a new Nostro password"]

    answer = house.client.request("POST", unsubscribe_path(digest))
    assert "no more summaries" in answer.text
    assert ann.get(PATH).json()["mailPreferences"]["events"] == dict.fromkeys(ALL_WANTED, False)
