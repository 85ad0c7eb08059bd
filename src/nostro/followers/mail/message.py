"""The message as it goes over the wire: multipart text and HTML, and headers that nobody can write into.

Two traps of the standard library are avoided here (tests/unit/test_mail_message.py): a display name that is an
encoded word ("=?utf-8?q?x=0D=0ABcc:…?=") is decoded and written out with its line break; and a header longer
than a line that has no spaces, such as List-Unsubscribe, becomes encoded words that no reader decodes.
"""

from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from nostro.domain.mail import Mail
from nostro.followers.mail.letters import Written, one_line

# RFC 5322 allows lines of 998 characters: nothing here is longer, so nothing is folded.
_LONGEST_LINE = 998


def message_of(
    written: Written,
    *,
    message_id: str,
    sender: str,
    sender_name: str,
    recipient: str,
    recipient_name: str,
    unsubscribe: str = "",
) -> Mail:
    """The finished mail. `unsubscribe`: the address that takes a one-click POST (RFC 8058), if any."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(sender_name, sender)
    message["To"] = _address(recipient_name, recipient)
    message["Subject"] = written.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = message_id
    # RFC 3834: holiday notices and other programs leave such mail unanswered.
    message["Auto-Submitted"] = "auto-generated"
    if unsubscribe:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(written.text, cte="quoted-printable")
    message.add_alternative(written.html, subtype="html", cte="quoted-printable")
    policy = SMTP if (sender + recipient).isascii() else SMTPUTF8
    content = message.as_bytes(policy=policy.clone(max_line_length=_LONGEST_LINE))
    return Mail(message_id, sender, recipient, written.subject, content)


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(one_line(name).replace("=?", "= ?"), local, domain)
