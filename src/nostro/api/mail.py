"""How one wants one's e-mail: preferences, and the link at the foot of a mail that ends mail of its kind."""

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.bodies import Fields, optional_text_of, parse_fields, read_fields
from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer
from nostro.api.rendering import page
from nostro.domain.errors import InvalidField
from nostro.domain.mail import OPTIONAL_KINDS, MailKind, MailPreferences
from nostro.ledger.mail_preferences import MailChange

_WORDS = {
    MailKind.SENT: "e-mails about money you sent",
    MailKind.RECEIVED: "e-mails about money you received",
    MailKind.FAILED: "e-mails about payments that were not made",
    MailKind.REVERSED: "e-mails about payments that were reversed",
    MailKind.STATEMENT_READY: "e-mails about statements",
    MailKind.DIGEST: "summaries, and no single e-mails instead of them",
}


def preferences_document(preferences: MailPreferences) -> Document:
    return {
        "locale": preferences.locale,
        "timeZone": preferences.time_zone,
        "digest": preferences.digest.value.lower(),
        "events": {kind.value: preferences.wants(kind) for kind in OPTIONAL_KINDS},
    }


def _answer(preferences: MailPreferences) -> Response:
    return json_answer(200, {"success": True, "mailPreferences": preferences_document(preferences)})


async def preferences(request: Request, desk: Desk) -> Response:
    user = await desk.user(request)
    return _answer(await desk.readers.preferences(user.id))


async def change_preferences(request: Request, desk: Desk) -> Response:
    """Members that are absent stay as they are."""
    user = await desk.user(request)
    fields = await read_fields(request)
    change = MailChange(
        locale=optional_text_of(fields, "locale"),
        time_zone=optional_text_of(fields, "timeZone"),
        digest=optional_text_of(fields, "digest"),
        events=_events_of(fields),
    )
    return _answer(await desk.readers.change(user.id, change))


def _events_of(fields: Fields) -> dict[str, bool] | None:
    raw = bytes(fields.get("events", b"null"))
    if raw == b"null":
        return None
    if raw[:1] != b"{":
        raise InvalidField("events", "must be an object")
    return {name: _flag(bytes(value)) for name, value in parse_fields(raw).items()}


def _flag(raw: bytes) -> bool:
    if raw not in {b"true", b"false"}:
        raise InvalidField("events", "must say true or false of each")
    return raw == b"true"


async def ask_to_unsubscribe(request: Request, desk: Desk) -> Response:
    """Asks before it ends anything: programs that look into mail follow its links, too."""
    kind = desk.readers.kind_of(_token(request))
    return _unsubscribe_page(desk, kind, done=False)


async def unsubscribe(request: Request, desk: Desk) -> Response:
    """By the page's button, or by a mail program in one step (RFC 8058); the body says nothing that counts."""
    kind = await desk.readers.unsubscribe(_token(request))
    return _unsubscribe_page(desk, kind, done=True)


def _token(request: Request) -> str:
    return request.query_params.get("token", "")


def _unsubscribe_page(desk: Desk, kind: MailKind, *, done: bool) -> Response:
    return page("unsubscribe.html", allow="form-action 'self'", house=desk.house, what=_WORDS[kind], done=done)
