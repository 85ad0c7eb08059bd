"""How readers want their e-mail, set by themselves: over the API, or by the link at the foot of a mail.

The link needs no login, so it can do no more than end mail of its kind. It is signed, and stays good for ever:
a mail may be read long after it was sent.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError

from nostro.domain.errors import InvalidField, InvalidUnsubscribeLink
from nostro.domain.ids import ObjectId
from nostro.domain.mail import OPTIONAL_KINDS, DigestFrequency, MailKind, MailPreferences
from nostro.store import mail as mails
from nostro.store.database import Database

_OPTIONAL = {kind.value: kind for kind in OPTIONAL_KINDS}


@dataclass(frozen=True)
class MailChange:
    """What to change; None leaves as it is. `locale` "": as is usual for the house. `events` by kind's name."""

    locale: str | None = None
    time_zone: str | None = None
    digest: str | None = None
    events: Mapping[str, bool] | None = None


@dataclass(frozen=True)
class MailReaders:
    """`secret` signs the links; it is the service's own."""

    database: Database
    secret: bytes

    async def preferences(self, user: ObjectId) -> MailPreferences:
        async with self.database.connection() as connection:
            return await mails.preferences_of(connection, user)

    async def change(self, user: ObjectId, change: MailChange) -> MailPreferences:
        """The preferences afterwards. Raises `InvalidField`."""
        return await self._rewrite(user, lambda before: changed(before, change))

    def unsubscribe_token(self, user: ObjectId, kind: MailKind) -> str:
        """What the link at the foot of a mail carries: whose it is, and what it ends."""
        return f"{user.hex()}.{kind.value}.{self._signature(user, kind)}"

    def kind_of(self, token: str) -> MailKind:
        """What the link ends. Raises `InvalidUnsubscribeLink`."""
        return self._read(token)[1]

    async def unsubscribe(self, token: str) -> MailKind:
        """Holds afterwards: no more mail of that kind; of a summary's, no more optional mail at all.

        The same again changes nothing. Raises `InvalidUnsubscribeLink`.
        """
        user, kind = self._read(token)
        ended = frozenset(OPTIONAL_KINDS if kind is MailKind.DIGEST else (kind,))
        await self._rewrite(user, lambda before: replace(before, muted=before.muted | ended))
        return kind

    async def _rewrite(
        self, user: ObjectId, rule: Callable[[MailPreferences], MailPreferences]
    ) -> MailPreferences:
        """Raises `InvalidUnsubscribeLink` for a user of another ledger that has the same secret."""
        async with self.database.transaction() as connection:
            if not await mails.lock_reader(connection, user):
                raise InvalidUnsubscribeLink
            after = rule(await mails.preferences_of(connection, user))
            await mails.save_preferences(connection, user, after)
        return after

    def _read(self, token: str) -> tuple[ObjectId, MailKind]:
        try:
            user_text, name, signature = token.split(".")
            user, kind = ObjectId(bytes.fromhex(user_text)), MailKind(name)
        except ValueError:
            raise InvalidUnsubscribeLink from None
        if not hmac.compare_digest(self._signature(user, kind).encode(), signature.encode()):
            raise InvalidUnsubscribeLink
        return user, kind

    def _signature(self, user: ObjectId, kind: MailKind) -> str:
        said = f"unsubscribe {user.hex()} {kind.value}".encode()
        return hmac.new(self.secret, said, hashlib.sha256).hexdigest()[:32]


def changed(before: MailPreferences, change: MailChange) -> MailPreferences:
    """`before` with the change made. Raises `InvalidField` naming what cannot be."""
    after = before
    if change.locale is not None:
        after = replace(after, locale=_locale(change.locale) if change.locale else None)
    if change.time_zone is not None:
        after = replace(after, time_zone=_time_zone(change.time_zone))
    if change.digest is not None:
        after = replace(after, digest=_digest(change.digest))
    for name, wanted in (change.events or {}).items():
        kind = _OPTIONAL.get(name)
        if kind is None:
            raise InvalidField("events", f"has {', '.join(_OPTIONAL)}; other mail is always sent")
        after = replace(after, muted=after.muted - {kind} if wanted else after.muted | {kind})
    return after


def _locale(text: str) -> str:
    try:
        return str(Locale.parse(text.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        raise InvalidField("locale", "must be a locale such as en-IN") from None


def _time_zone(text: str) -> str:
    if text not in _time_zones():
        raise InvalidField("timeZone", "must be a time zone of the IANA database such as Asia/Kolkata")
    return text


@cache
def _time_zones() -> set[str]:
    return available_timezones()


def _digest(text: str) -> DigestFrequency:
    try:
        return DigestFrequency(text.upper())
    except ValueError:
        raise InvalidField("digest", "must be off or daily") from None
