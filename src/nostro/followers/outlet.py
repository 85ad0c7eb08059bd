"""Where finished mail goes, as far as a follower cares: an SMTP server, or the mailbox of development."""

from typing import Protocol

from nostro.domain.mail import Mail


class Outlet(Protocol):
    async def hand_over(self, mail: Mail) -> None:
        """Returns once the mail is in other hands. Raises `Later` or `SetAside`."""
        ...

    async def aclose(self) -> None:
        """End what is open; nothing is handed over afterwards."""
        ...
