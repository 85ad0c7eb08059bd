"""What every route has at hand: the ledger, the tokens, the origins, and the dialect of this request."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.authentication import Origins, Tokens, claims_of
from nostro.api.dialects import DIALECTS, Dialect
from nostro.api.documents import Document, json_answer
from nostro.api.logins import LoginGuard
from nostro.domain.user import Claims
from nostro.ledger.mail_preferences import MailReaders
from nostro.ledger.mailbox import Mailbox
from nostro.ledger.resets import PasswordResets
from nostro.ledger.service import Ledger
from nostro.ledger.streams import Streams
from nostro.ledger.webhooks import Webhooks
from nostro.settings import DialectName, MetricsReaders
from nostro.store.users import User


@dataclass(frozen=True)
class Desk:
    """`house`: what the service calls itself. `mailbox`: that of development, where mail is captured."""

    ledger: Ledger
    tokens: Tokens
    origins: Origins
    dialect_name: DialectName
    resets: PasswordResets
    readers: MailReaders
    streams: Streams
    webhooks: Webhooks
    metrics_for: MetricsReaders = MetricsReaders.LOOPBACK
    house: str = "Nostro"
    mailbox: Mailbox | None = None
    logins: LoginGuard = field(default_factory=LoginGuard)

    def dialect(self, request: Request) -> Dialect:
        """The dialect of the path if only one has it, else the configured one."""
        return DIALECTS[request.scope.get("nostro.dialect") or self.dialect_name]

    @property
    def configured_dialect(self) -> Dialect:
        return DIALECTS[self.dialect_name]

    def claims(self, request: Request) -> Claims:
        return claims_of(request, self.tokens, self.origins)

    async def user(self, request: Request, *, system: bool = False) -> User:
        """The caller, judged by the database now. Raises the refusals of errors.PRECEDENCE in its order."""
        return await self.ledger.users.session(self.claims(request), system=system)

    def answer(self, request: Request, situation: str, document: Document) -> Response:
        """The dialect's status and message for `situation`, with `document` beside them."""
        status, message = self.dialect(request).answer(situation)
        return json_answer(status, {"message": message, "success": True} | document)
