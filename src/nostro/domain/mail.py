"""E-mails: what they are about, which of them a reader may do without, and how a reader wants them."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class MailKind(Enum):
    """What an e-mail is about; the value is its name in preferences, links and the outbox."""

    WELCOME = "welcome"
    SENT = "sent"
    RECEIVED = "received"
    FAILED = "failed"
    REVERSED = "reversed"
    STATEMENT_READY = "statementReady"
    PASSWORD_RESET = "passwordReset"  # noqa: S105 - a word
    PASSWORD_CHANGED = "passwordChanged"  # noqa: S105
    DIGEST = "digest"


# What a reader may switch off, or have once a day. The rest is about who may enter the account.
OPTIONAL_KINDS = (
    MailKind.SENT,
    MailKind.RECEIVED,
    MailKind.FAILED,
    MailKind.REVERSED,
    MailKind.STATEMENT_READY,
)


class DigestFrequency(Enum):
    OFF = "OFF"
    DAILY = "DAILY"


@dataclass(frozen=True, slots=True)
class MailPreferences:
    """How one reader wants mail. `locale` None: as is usual where the house currency is (CLDR names, `en_IN`);
    `time_zone` is a name of the IANA database. `muted` holds optional kinds only."""

    locale: str | None = None
    time_zone: str = "UTC"
    digest: DigestFrequency = DigestFrequency.OFF
    muted: frozenset[MailKind] = frozenset()

    def wants(self, kind: MailKind) -> bool:
        return kind not in self.muted

    def collects(self, kind: MailKind) -> bool:
        """Whether mail of this kind waits for the digest."""
        return kind in OPTIONAL_KINDS and self.digest is DigestFrequency.DAILY


class Mail(NamedTuple):
    """A finished e-mail: what is handed over to a server or kept in the mailbox of development."""

    message_id: str
    sender: str
    recipient: str
    subject: str
    content: bytes
