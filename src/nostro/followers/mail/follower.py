"""E-mail follows the journal: events become letters, letters become mail.

Which letters there are is decided in the transaction that moves the cursor, so that a mail exists if and only
if what it tells was committed. A letter is written when it is sent, to the address and in the locale its
reader has by then; the link to a new password is derived then, and is kept nowhere.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from urllib.parse import quote

from nostro.domain.ids import ObjectId
from nostro.domain.mail import OPTIONAL_KINDS, Mail, MailKind
from nostro.domain.user import Role
from nostro.followers.frame import ClaimedDelivery, Delivery, Event, SetAside
from nostro.followers.mail.digests import collect
from nostro.followers.mail.facts import Letter, packed, unpacked
from nostro.followers.mail.letters import Envelope, Written, write, write_digest
from nostro.followers.mail.message import message_of
from nostro.followers.mail.occasions import (
    Addressed,
    about_people,
    ended_holds,
    interesting,
    letters_of,
)
from nostro.followers.mail.wording import Wording
from nostro.followers.outlet import Outlet
from nostro.ledger.mail_preferences import MailReaders
from nostro.ledger.mailbox import KEPT
from nostro.ledger.resets import LIFETIME_MINUTES, PasswordResets
from nostro.mail_settings import Sender
from nostro.store import mail as mails
from nostro.store.database import Connection, Database
from nostro.store.events import journal_head
from nostro.store.followers import waiting
from nostro.store.mail import Reader

_HOUR_OF_MINUTES = (60.0,) * 60
_WALKING_PACE_S = 0.02


class MailFollower:
    """Writes to those whom an event concerns. `usual_locale`: of readers who chose none.

    `captures`: the outlet is the mailbox of development. It keeps the newest few hundred mails and is read by
    one person, so it must not cost much: mail is written at a walking pace, and while more waits than is kept,
    only what is not optional is added.
    """

    name = "mail"
    senders = 4
    patience_s = 60.0
    # A server may be away for two days; back from an hour's absence, it gets every mail within a minute.
    retry_schedule_s = (5.0, 15.0, 30.0, *_HOUR_OF_MINUTES, *(600.0,) * 36, *(3600.0,) * 42)

    def __init__(
        self,
        database: Database,
        outlet: Outlet,
        *,
        sender: Sender,
        resets: PasswordResets,
        readers: MailReaders,
        usual_locale: str,
        captures: bool = False,
    ) -> None:
        self._database = database
        self._outlet = outlet
        self._sender = sender
        self._resets = resets
        self._readers = readers
        self._usual_locale = usual_locale
        self._captures = captures
        self._ledger = ""
        if captures:
            self.senders = 1

    async def deliveries(self, connection: Connection, events: Sequence[Event]) -> list[Delivery]:
        """One per letter that its reader wants now; letters for a digest join it instead."""
        full = self._captures and await waiting(connection, self.name, KEPT) == KEPT
        letters = await _letters(connection, about_people(events) if full else interesting(events))
        if not letters:
            return []
        readers = await mails.readers(connection, list({letter.reader for letter in letters}))
        made = []
        for addressed in letters:
            reader = readers[addressed.reader]
            if not _is_for(reader, addressed.letter.kind):
                continue
            if reader.preferences.collects(addressed.letter.kind):
                await collect(connection, addressed, reader)
            else:
                made.append(_delivery(addressed))
        return made

    async def send(self, delivery: ClaimedDelivery) -> None:
        """Raises `SetAside` when the reader has switched this off since, cannot be written to, or a link would
        be too old."""
        letter = unpacked(delivery.payload)
        reader = await self._reader(letter)
        await self._outlet.hand_over(await self._mail(delivery, letter, reader))
        if self._captures:
            await asyncio.sleep(_WALKING_PACE_S)

    async def _mail(self, delivery: ClaimedDelivery, letter: Letter, reader: Reader) -> Mail:
        unsubscribe = self._unsubscribe(reader, letter.kind)
        envelope = Envelope(
            house=self._sender.house,
            reader=reader.name,
            wording=Wording(reader.preferences, self._usual_locale),
            unsubscribe=unsubscribe,
            link=await self._link(reader, letter.kind, delivery.position),
            link_lifetime=timedelta(minutes=LIFETIME_MINUTES),
        )
        written = await self._written(letter, reader, envelope)
        message_id = f"<{delivery.id}.{await self._ledger_id()}@{self._sender.domain}>"
        try:
            return message_of(
                written,
                message_id=message_id,
                sender=self._sender.address,
                sender_name=self._sender.house,
                recipient=reader.email,
                recipient_name=reader.name,
                unsubscribe=unsubscribe,
            )
        except ValueError:
            raise SetAside("what the reader has for an address is none") from None

    async def _ledger_id(self) -> str:
        """Deliveries of two ledgers may have one id; their mails may meet in one mailbox."""
        if not self._ledger:
            async with self._database.background() as connection:
                self._ledger = (await journal_head(connection)).ledger.hex
        return self._ledger

    async def _reader(self, letter: Letter) -> Reader:
        user = ObjectId(bytes.fromhex(letter.user))
        async with self._database.background() as connection:
            reader = (await mails.readers(connection, [user])).get(user)
        if reader is None or not _is_for(reader, letter.kind):
            raise SetAside("the reader does not want this mail any more")
        return reader

    async def _written(self, letter: Letter, reader: Reader, envelope: Envelope) -> Written:
        if letter.kind is not MailKind.DIGEST:
            return write(letter, envelope)
        async with self._database.background() as connection:
            items = await mails.digest_items(connection, reader.id, letter.facts.time)
        letters = [one for one in map(unpacked, items) if _is_for(reader, one.kind)]
        if not letters:
            raise SetAside("the reader does not want this mail any more")
        return write_digest(letters, envelope)

    async def _link(self, reader: Reader, kind: MailKind, position: int) -> str:
        """The token stands behind the #: browsers send that part to nobody, so no log on the way keeps it."""
        if kind is not MailKind.PASSWORD_RESET:
            return ""
        token = await self._resets.link_token(position)
        if token is None:
            raise SetAside("the link would not work any more")
        return f"{self._sender.public_url}/reset-password#token={quote(token)}&email={quote(reader.email)}"

    def _unsubscribe(self, reader: Reader, kind: MailKind) -> str:
        if kind not in {*OPTIONAL_KINDS, MailKind.DIGEST}:
            return ""
        return f"{self._sender.public_url}/unsubscribe?token={self._readers.unsubscribe_token(reader.id, kind)}"


async def _letters(connection: Connection, events: Sequence[Event]) -> list[Addressed]:
    concerned = _distinct(account for event in events for account in event.accounts)
    accounts = await mails.named_accounts(connection, concerned) if concerned else {}
    ended = ended_holds(events)
    failed = await mails.failed_holds(connection, ended) if ended else set()
    return [addressed for event in events for addressed in letters_of(event, accounts, failed)]


def _distinct(ids: Iterable[ObjectId]) -> list[ObjectId]:
    return list(dict.fromkeys(ids))


def _is_for(reader: Reader, kind: MailKind) -> bool:
    """Whether the reader gets mail of this kind: a system user, being a machine, only about its password."""
    if reader.role is Role.SYSTEM and kind not in {MailKind.PASSWORD_RESET, MailKind.PASSWORD_CHANGED}:
        return False
    return reader.preferences.wants(kind)


def _delivery(addressed: Addressed) -> Delivery:
    return Delivery(addressed.event.position, addressed.event.id, addressed.target, packed(addressed.letter))
