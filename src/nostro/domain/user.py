"""Users, and what their tokens let them claim."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from nostro.domain.ids import ObjectId


class Role(StrEnum):
    CUSTOMER = "CUSTOMER"
    SYSTEM = "SYSTEM"
    OPERATOR = "OPERATOR"
    AUDITOR = "AUDITOR"

    @property
    def sees_all(self) -> bool:
        """Whether the history of everybody's accounts is theirs to see."""
        return self in {Role.OPERATOR, Role.AUDITOR}


class Claims(NamedTuple):
    """What a verified token says. `digest` names the token for revocation; the times are Unix seconds."""

    user: ObjectId
    digest: bytes
    issued_at: float
    expires_at: float

    def void(self, *, revoked: bool, token_epoch: float) -> bool:
        """Whether the token stands for nobody any more: logged out, or issued before its user's epoch."""
        return revoked or self.issued_at < token_epoch


@dataclass(frozen=True, slots=True)
class Caller:
    """The user behind a request as the database knew it: tokens issued before `token_epoch` are void."""

    id: ObjectId
    role: Role
    token_epoch: float


def folded(email: str) -> str:
    """An e-mail address as it is kept and compared: without white space around it, in lower case."""
    return email.strip().lower()
