"""The message on the wire: its parts, its headers, and that nobody can write headers of their own."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nostro.domain.mail import Mail
from nostro.followers.mail.letters import Written
from nostro.followers.mail.message import message_of

HEADERS = [
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
    *("List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version", "Content-Type"),
]
LINK = "https://bank.example/unsubscribe?token=" + "a" * 200
INJECTIONS = [
    "Ann\r\nBcc: evil@example.com",
    "Ann\nBcc: evil@example.com\n\nbody",
    "=?utf-8?q?x=0D=0ABcc:_evil@example.com?=",
    "=?utf-8?b?eA0KQmNjOiBldmlsQGV4YW1wbGUuY29t?= Ann",
    "Ann\u2028Bcc: evil@example.com\u0085",
    '"Ann" <evil@example.com>, Bob',
    "Ann, evil@example.com;",
    "\x00Ann\x7f",
]


def message(name: str = "Ann", recipient: str = "ann@example.com") -> Mail:
    return message_of(
        Written("Transaction Successful!", "₹10 for you\n.\n.dots\n", "<p>₹10 for you</p>\n"),
        message_id="<mail-17-5d41402abc4b2a76@bank.example>",
        sender="house@bank.example",
        sender_name="Bank & Söhne",
        recipient=recipient,
        recipient_name=name,
        unsubscribe=LINK,
    )


def parsed(mail: Mail) -> EmailMessage:
    read = message_from_bytes(mail.content, policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


def test_text_and_html_are_alternatives_in_utf_8() -> None:
    read = parsed(message())
    assert read.get_content_type() == "multipart/alternative"
    text, html = read.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().splitlines() == ["₹10 for you", ".", ".dots"]
    assert "₹10 for you" in html.get_content()
    assert message().content.isascii()


def test_long_links_are_whole_and_every_header_stands_once() -> None:
    mail = message()
    head = mail.content.partition(b"\r\n\r\n")[0].decode()
    assert f"\r\nList-Unsubscribe: <{LINK}>\r\n" in head
    assert "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in head
    assert parsed(mail).keys() == HEADERS
    assert parsed(mail)["Auto-Submitted"] == "auto-generated"
    assert max(len(line) for line in mail.content.split(b"\r\n")) <= 998


def _is_for_ann_alone(mail: Mail) -> bool:
    read = parsed(mail)
    return (
        read.keys() == HEADERS
        and [address.addr_spec for address in read["To"].addresses] == ["ann@example.com"]
        and b"\nBcc" not in mail.content
    )


@pytest.mark.parametrize("name", INJECTIONS)
def test_a_name_writes_no_header_and_no_second_address(name: str) -> None:
    assert _is_for_ann_alone(message(name))


@given(st.text(max_size=200))
def test_no_name_at_all_writes_one(name: str) -> None:
    assert _is_for_ann_alone(message(name))


@given(
    st.lists(st.sampled_from(["=?", "?=", "utf-8", "?q?", "=0D=0A", "Bcc:", "\r\n", " ", "x@y.z", "<", ","]))
)
def test_no_name_made_of_the_pieces_of_an_encoded_word_writes_one(pieces: list[str]) -> None:
    assert _is_for_ann_alone(message("".join(pieces)))


def test_an_address_beyond_ascii_is_written_as_it_is() -> None:
    mail = message(recipient="änn@bücher.example")
    assert "To: Ann <änn@bücher.example>\r\n" in mail.content.decode()
    assert (mail.sender, mail.recipient) == ("house@bank.example", "änn@bücher.example")
