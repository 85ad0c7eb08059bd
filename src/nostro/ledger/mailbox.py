"""The mailbox of development: mail that would have been sent, kept to be read. None leaves the machine."""

from dataclasses import dataclass

from nostro.domain.errors import NotFound
from nostro.domain.mail import Mail
from nostro.store import mail as mails
from nostro.store.database import Database
from nostro.store.mail import CapturedMail

KEPT = 500


@dataclass(frozen=True)
class Mailbox:
    database: Database

    async def hand_over(self, mail: Mail) -> None:
        """Keep it; a mail with the same Message-ID is there already."""
        async with self.database.connection() as connection:
            await mails.capture(connection, mail, KEPT)

    async def aclose(self) -> None:
        """Nothing is open."""

    async def newest(self, recipient: str | None, limit: int) -> list[CapturedMail]:
        async with self.database.connection() as connection:
            return await mails.captured_mails(connection, recipient, limit)

    async def one(self, number: int) -> CapturedMail:
        async with self.database.connection() as connection:
            found = await mails.captured_mail(connection, number)
        if found is None:
            raise NotFound("There is no such mail")
        return found
