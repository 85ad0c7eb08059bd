"""The mail that `nostro mail test` sends."""

import secrets
from html import escape

from nostro.domain.mail import Mail
from nostro.followers.mail.letters import Written
from nostro.followers.mail.message import message_of
from nostro.mail_settings import Sender

_TEXT = "This is a test of the mail settings of {house}. If you can read it, they work.\n"


def trial_mail(sender: Sender, address: str) -> Mail:
    """A mail to `address` that says no more than that it arrived."""
    text = _TEXT.format(house=sender.house)
    html = f"<!doctype html><html lang=en><title>Test</title><p>{escape(text)}</html>\n"
    return message_of(
        Written(f"A test from {sender.house}", text, html),
        message_id=f"<test-{secrets.token_hex(12)}@{sender.domain}>",
        sender=sender.address,
        sender_name=sender.house,
        recipient=address,
        recipient_name="",
    )
