"""Mail as the settings want it: the follower, the outlet that goes with it, and the clock of the summaries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from nostro.followers.mail.digests import send_digests_in_time
from nostro.followers.mail.follower import MailFollower
from nostro.followers.mail.wording import house_locale
from nostro.followers.outlet import Outlet
from nostro.followers.smtp import SmtpOutlet
from nostro.ledger.mail_preferences import MailReaders
from nostro.ledger.mailbox import Mailbox
from nostro.ledger.resets import PasswordResets
from nostro.ledger.service import Ledger
from nostro.mail_settings import MailPlan


@asynccontextmanager
async def mailing(
    plan: MailPlan, ledger: Ledger, resets: PasswordResets, readers: MailReaders
) -> AsyncIterator[list[MailFollower]]:
    """Inside: the mail follower, to be run by the caller, or none when mail is off."""
    if plan.sender is None:
        yield []
        return
    outlet: Outlet = SmtpOutlet(plan.server) if plan.server else Mailbox(ledger.database)
    follower = MailFollower(
        ledger.database,
        outlet,
        sender=plan.sender,
        resets=resets,
        readers=readers,
        usual_locale=house_locale(ledger.house_currency.code),
        captures=plan.server is None,
    )
    digests = asyncio.create_task(send_digests_in_time(ledger.database, follower.name))
    try:
        yield [follower]
    finally:
        digests.cancel()
        with suppress(asyncio.CancelledError):
            await digests
        await outlet.aclose()
