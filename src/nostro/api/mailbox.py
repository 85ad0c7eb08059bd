"""The mailbox of development at /dev/mail: pages for people, JSON for programs. Elsewhere there is none.

A mail's HTML is shown in a frame that may run nothing, load nothing and lead nowhere.
"""

from email import message_from_bytes, policy
from email.message import EmailMessage

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from nostro.api.desk import Desk
from nostro.api.documents import Document, json_answer
from nostro.api.paging import page_of
from nostro.api.rendering import page
from nostro.domain.errors import NotFound
from nostro.domain.event import shown_time
from nostro.domain.user import folded
from nostro.ledger.mailbox import KEPT, Mailbox
from nostro.store.mail import CapturedMail

_OF_A_MAIL = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


async def mailbox(request: Request, desk: Desk) -> Response:
    """The newest mails, of one address (`to`) or of all."""
    box = _mailbox(desk)
    limit, _ = page_of(request)
    to = folded(request.query_params.get("to", "")).replace("\x00", "")
    mails = [_line(mail) for mail in await box.newest(to or None, limit)]
    if _wants_html(request):
        return page("mailbox.html", house=desk.house, kept=KEPT, mails=mails, to=to)
    return json_answer(200, {"success": True, "mails": mails})


async def one_mail(request: Request, desk: Desk) -> Response:
    mail = await _asked_for(request, desk)
    document = _line(mail) | _parts(mail)
    if _wants_html(request):
        return page("mail.html", allow="frame-src 'self'; form-action 'none'", house=desk.house, mail=document)
    return json_answer(200, {"success": True, "mail": document})


async def mail_as_html(request: Request, desk: Desk) -> Response:
    """What the frame shows."""
    html = _parts(await _asked_for(request, desk))["html"]
    return HTMLResponse(html, headers={"Content-Security-Policy": _OF_A_MAIL})


def _mailbox(desk: Desk) -> Mailbox:
    if desk.mailbox is None:
        raise NotFound
    return desk.mailbox


async def _asked_for(request: Request, desk: Desk) -> CapturedMail:
    number = request.path_params["mail"]
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise NotFound("There is no such mail")
    return await _mailbox(desk).one(int(number))


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _line(mail: CapturedMail) -> Document:
    return {
        "number": mail.number,
        "messageId": mail.message_id,
        "to": mail.recipient,
        "subject": mail.subject,
        "capturedAt": shown_time(mail.captured_at),
    }


def _parts(mail: CapturedMail) -> Document:
    message = message_from_bytes(mail.message, policy=policy.default)
    assert isinstance(message, EmailMessage), "the policy says so"
    return {
        "headers": [{"name": name, "value": str(value)} for name, value in message.items()],
        "text": _body(message, "plain"),
        "html": _body(message, "html"),
    }


def _body(message: EmailMessage, form: str) -> str:
    part = message.get_body((form,))
    return str(part.get_content()) if part else ""
