"""E-mail as rows: readers and their preferences, digests, and the mailbox of development."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from nostro.domain.ids import ObjectId
from nostro.domain.mail import DigestFrequency, Mail, MailKind, MailPreferences
from nostro.domain.money import Currency
from nostro.domain.user import Role
from nostro.store.database import Connection
from nostro.store.documents import decode_document, encode_document
from nostro.store.queries import SQL


class Reader(NamedTuple):
    id: ObjectId
    email: str
    name: str
    role: Role
    preferences: MailPreferences


class NamedAccount(NamedTuple):
    """An account and who owns it. `name` is the owner's for it, "" if none was given."""

    id: ObjectId
    owner: ObjectId
    owner_name: str
    name: str
    currency: Currency


class ClosedDigest(NamedTuple):
    """`position` is that of its first item."""

    user: ObjectId
    due_at: datetime
    position: int


class CapturedMail(NamedTuple):
    number: int
    message_id: str
    recipient: str
    subject: str
    captured_at: datetime
    message: bytes


def _preferences(row: Any) -> MailPreferences:
    if row is None or not row["chose"]:
        return MailPreferences()
    return MailPreferences(
        locale=row["locale"],
        time_zone=row["time_zone"],
        digest=DigestFrequency(row["digest"]),
        muted=frozenset(MailKind(name) for name in row["muted"]),
    )


async def readers(connection: Connection, users: Sequence[ObjectId]) -> dict[ObjectId, Reader]:
    return {
        row["id"]: Reader(row["id"], row["email"], row["name"], Role(row["role"]), _preferences(row))
        for row in await connection.fetch(SQL["readers"], users)
    }


async def named_accounts(connection: Connection, accounts: Sequence[ObjectId]) -> dict[ObjectId, NamedAccount]:
    return {
        row["id"]: NamedAccount(
            row["id"],
            row["owner"],
            row["owner_name"],
            row["name"] or "",
            Currency(row["currency"], row["exponent"]),
        )
        for row in await connection.fetch(SQL["named_accounts"], accounts)
    }


async def failed_holds(connection: Connection, transactions: Sequence[ObjectId]) -> set[ObjectId]:
    """Those of `transactions` that are holds which ended without any capture."""
    return {row["id"] for row in await connection.fetch(SQL["failed_holds"], transactions)}


async def preferences_of(connection: Connection, user: ObjectId) -> MailPreferences:
    return _preferences(await connection.fetchrow(SQL["mail_preferences"], user))


async def lock_reader(connection: Connection, user: ObjectId) -> bool:
    """False when there is no such user."""
    return await connection.fetchval(SQL["lock_reader"], user) is not None


async def save_preferences(connection: Connection, user: ObjectId, wanted: MailPreferences) -> None:
    await connection.execute(
        SQL["save_mail_preferences"],
        user,
        wanted.locale,
        wanted.time_zone,
        wanted.digest.value,
        sorted(kind.value for kind in wanted.muted),
    )


async def add_to_digest(  # noqa: PLR0917 - whose, which, and the row
    connection: Connection, user: ObjectId, due_at: datetime, position: int, target: str, facts: dict[str, Any]
) -> bool:
    """False when the digest due at `due_at` is closed; else the item is in a digest."""
    added: bool = await connection.fetchval(
        SQL["add_to_digest"], user, due_at, position, target, encode_document(facts).decode()
    )
    return added


async def close_due_digests(connection: Connection, limit: int) -> list[ClosedDigest]:
    """Close up to `limit` digests whose time has come."""
    return [ClosedDigest(*row) for row in await connection.fetch(SQL["close_due_digests"], limit)]


async def digest_items(connection: Connection, user: ObjectId, due_at: datetime) -> list[dict[str, Any]]:
    """In order of their events."""
    rows = await connection.fetch(SQL["digest_items"], user, due_at)
    return [decode_document(row["facts"]) for row in rows]


async def now(connection: Connection) -> datetime:
    """The database's clock."""
    moment: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return moment


async def capture(connection: Connection, mail: Mail, keep: int) -> None:
    """Into the mailbox, of which the newest `keep` stay."""
    await connection.execute(SQL["capture_mail"], mail.message_id, mail.recipient, mail.subject, mail.content)
    await connection.execute(SQL["forget_captured_mails"], keep)


async def captured_mails(connection: Connection, recipient: str | None, limit: int) -> list[CapturedMail]:
    """The newest first, of one recipient or of all."""
    rows = await connection.fetch(SQL["captured_mails"], recipient, limit)
    return [CapturedMail(*row) for row in rows]


async def captured_mail(connection: Connection, number: int) -> CapturedMail | None:
    row = await connection.fetchrow(SQL["captured_mail"], number)
    return CapturedMail(*row) if row else None
