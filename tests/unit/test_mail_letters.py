"""Letters: every kind as text and HTML, with the right facts; what people wrote stays in its place."""

from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nostro.domain.mail import MailKind, MailPreferences
from nostro.followers.mail.facts import (
    Facts,
    Letter,
    Money,
    Movement,
    Notice,
    Side,
    Statement,
    packed,
    unpacked,
)
from nostro.followers.mail.letters import Envelope, Written, one_line, write, write_digest
from nostro.followers.mail.wording import Wording

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OWN = Side("a" * 24, "Ann", "Rent")
BOB = Side("b" * 24, "Bob")
SENT = Movement(
    time=NOON,
    incoming=False,
    amount=Money(1050, "INR", 2),
    own=OWN,
    others=(BOB,),
    transaction="c" * 24,
    balance=Money(8950, "INR", 2),
    description="November",
)
FACTS: dict[MailKind, Facts] = {
    MailKind.WELCOME: Notice(NOON),
    MailKind.SENT: SENT,
    MailKind.RECEIVED: Movement(
        **{name: getattr(SENT, name) for name in SENT.__struct_fields__} | {"incoming": True}
    ),
    MailKind.FAILED: SENT,
    MailKind.REVERSED: SENT,
    MailKind.STATEMENT_READY: Statement(NOON, OWN, date(2026, 11, 1), date(2026, 11, 30)),
    MailKind.PASSWORD_RESET: Notice(NOON),
    MailKind.PASSWORD_CHANGED: Notice(NOON),
}
SUBJECTS = {
    MailKind.WELCOME: "Welcome to Nostro!",
    MailKind.SENT: "Transaction Successful!",
    MailKind.RECEIVED: "Amount Received Successfully!",
    MailKind.FAILED: "Transaction Failed",
    MailKind.REVERSED: "Transaction Reversed",
    MailKind.STATEMENT_READY: "Your statement is ready",
    MailKind.PASSWORD_RESET: "Set a new Nostro password",
    MailKind.PASSWORD_CHANGED: "Your Nostro password was changed",
}


def envelope(reader: str = "Ann", house: str = "Nostro") -> Envelope:
    return Envelope(
        house,
        reader,
        Wording(MailPreferences(), "en_IN"),
        unsubscribe="https://bank.example/unsubscribe?token=a&b",
        link="https://bank.example/reset-password#token=1.a",
        link_lifetime=timedelta(minutes=30),
    )


def written(kind: MailKind, **options: str) -> Written:
    return write(Letter(kind, "d" * 24, FACTS[kind]), envelope(**options))


def seen(html: str) -> str:
    """The text that a reader of the HTML sees."""

    class Reader(HTMLParser):
        text = ""

        def handle_data(self, data: str) -> None:
            self.text += data

    reader = Reader()
    reader.feed(html)
    return " ".join(reader.text.split())


@pytest.mark.parametrize("kind", FACTS)
def test_every_kind_has_its_subject_and_says_the_same_as_text_and_as_html(kind: MailKind) -> None:
    letter = written(kind)
    assert letter.subject == SUBJECTS[kind]
    text = " ".join(letter.text.split())
    assert "Dear Ann," in text
    shown = seen(letter.html)
    facts = FACTS[kind]
    expected = ["Dear Ann,", "Nostro"]
    if isinstance(facts, Movement):
        expected += ["₹10.50", "Bob", "b" * 24, f"Rent ({'a' * 24})", "c" * 24, "₹89.50", "November"]
        expected += ["20 November 2026, 12:00:00 pm UTC"]
    for words in expected:
        assert words in text, words
        assert words in shown, words
    assert "None" not in text + shown
    assert "undefined" not in text + shown


def test_who_pays_and_who_receives_is_told_from_the_readers_side() -> None:
    sent, received = written(MailKind.SENT).text, written(MailKind.RECEIVED).text
    assert "You sent ₹10.50 to Bob." in sent
    assert f"From account: Rent ({'a' * 24})\nTo account: Bob ({'b' * 24})\n" in sent
    assert "You received ₹10.50 from Bob." in received
    assert f"From account: Bob ({'b' * 24})\nTo account: Rent ({'a' * 24})\n" in received


def test_a_reset_link_stands_in_its_mail_and_in_no_other() -> None:
    for kind in FACTS:
        letter = written(kind)
        there = "https://bank.example/reset-password#token=1.a" in letter.text
        assert there == (kind is MailKind.PASSWORD_RESET)
    assert 'href="https://bank.example/reset-password#token=1.a"' in written(MailKind.PASSWORD_RESET).html
    assert "12:30:00 pm UTC" in " ".join(written(MailKind.PASSWORD_RESET).text.split())


def test_many_accounts_on_the_other_side_are_told_in_one_line() -> None:
    others = tuple(Side(f"{number:024x}", f"Person {number}") for number in range(5))
    facts = Movement(NOON, incoming=False, amount=SENT.amount, own=OWN, others=others, transaction="c" * 24)
    text = write(Letter(MailKind.SENT, "d" * 24, facts), envelope()).text
    assert "to Person 0, Person 1, Person 2 and 2 more." in text
    assert "; and 2 more" in text
    assert "New balance" not in text


def test_a_digest_tells_every_letter_in_order() -> None:
    letters = [Letter(kind, "d" * 24, FACTS[kind]) for kind in (MailKind.RECEIVED, MailKind.SENT)]
    digest = write_digest(letters, envelope())
    assert digest.subject == "Your day at Nostro"
    for text in (digest.text, seen(digest.html)):
        assert text.index("Amount Received Successfully!") < text.index("Transaction Successful!")
        assert text.count("₹89.50") == 2


@pytest.mark.parametrize("kind", FACTS)
def test_what_people_wrote_is_escaped_and_stays_on_its_line(kind: MailKind) -> None:
    evil = "<script>alert(1)</script>\r\nBcc: evil@example.com\u2028<b>"
    letter = written(kind, reader=evil)
    assert "<script" not in letter.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in letter.html
    assert not [line for line in letter.text.splitlines() if line.startswith("Bcc:")]


def test_names_and_descriptions_of_others_are_escaped_too() -> None:
    evil = '"><img src=x onerror=alert(1)>\n\nTo account: me'
    facts = Movement(
        NOON,
        incoming=True,
        amount=SENT.amount,
        own=Side("a" * 24, "Ann", evil),
        others=(Side("b" * 24, evil),),
        transaction="c" * 24,
        description=evil,
        reference=evil,
    )
    letter = write(Letter(MailKind.RECEIVED, "d" * 24, facts), envelope())
    assert "<img" not in letter.html
    assert sum(line.startswith("To account: ") for line in letter.text.splitlines()) == 1


@given(st.text())
def test_one_line_is_one_line_of_printable_text(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.isprintable()
    assert line == line.strip()


@pytest.mark.parametrize("kind", FACTS)
def test_a_letter_survives_the_outbox(kind: MailKind) -> None:
    letter = Letter(kind, "d" * 24, FACTS[kind])
    assert unpacked(packed(letter)) == letter
