"""What can be said about an operation: plain data, from which document.py writes the OpenAPI description.

Successes and refusals are examples that the service's own code makes (documents.py, problems.py), so that
their members, texts and statuses are those of the dialect that the service speaks, not a second telling.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from nostro.api.dialects import Dialect
from nostro.domain.errors import NostroError

Json = dict[str, Any]


class Access(Enum):
    """Who may call: anyone; anyone, and a token counts if it is there; a logged-in user; a system user."""

    PUBLIC = "public"
    OPTIONAL = "optional"
    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True)
class Body:
    """A JSON request body. `fields` by name, `required` those it needs; or a whole `schema`."""

    fields: Json
    required: tuple[str, ...]
    examples: dict[str, Json]
    optional: bool = False
    schema: Json | None = None


@dataclass(frozen=True)
class Success:
    """An answer that is not a refusal: `situation` names the dialects' row that gives status and message,
    None means 200 and no message. `fields` are the schemas of the members beside `success`, all of them
    there but the `optional` ones. `without_success`: the document has no `success` member. `other_media`:
    in which it comes as well.
    """

    text: str
    fields: Json
    example: Json
    situation: str | None = None
    headers: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    without_success: bool = False
    other_media: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """An answer that is no JSON document of ours: its media types, each with an example or None."""

    text: str
    media: dict[str, str | None]


@dataclass(frozen=True)
class Description:
    """One operation. `words` is that of the operation itself (operations.py); a test keeps them equal.

    `refusals`: an example of each refusal beyond those that access, body and path imply (refusals.py);
    `in_dialect` adds those that only some dialects have. `culprits`: of one of the transfers that were asked
    for at once, said in the words of a transfer.
    """

    name: str
    tag: str
    summary: str
    text: str
    answers: tuple[Success | Page, ...]
    access: Access = Access.PUBLIC
    parameters: tuple[str, ...] = ()
    body: Body | None = None
    refusals: tuple[NostroError, ...] = ()
    culprits: tuple[NostroError, ...] = ()
    in_dialect: Callable[[Dialect], tuple[NostroError, ...]] | None = None
    words: str = ""
    needs_database: bool = True


Descriptions = dict[tuple[str, str], Description]
