"""What is said about e-mail: how one wants it, and the pages that mails lead to."""

from typing import Final

from nostro.api.mail import preferences_document
from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Page, Success
from nostro.api.openapi.fields import COUNT, TEXT, list_of, record, ref
from nostro.api.openapi.samples import ANN
from nostro.api.paths import MAIL_PREFERENCES
from nostro.domain.errors import InvalidField, InvalidUnsubscribeLink, NotFound
from nostro.domain.mail import OPTIONAL_KINDS, DigestFrequency, MailKind, MailPreferences

_TAG: Final = "E-mail"
_DIGESTS: Final = [digest.value.lower() for digest in DigestFrequency]
_EXAMPLE: Json = preferences_document(
    MailPreferences("en_IN", "Asia/Kolkata", DigestFrequency.OFF, frozenset({MailKind.SENT}))
)
_MAIL: Json = {
    "number": 2,
    "messageId": "<mail-17-5d41402abc4b2a76@localhost>",
    "to": "ann@example.com",
    "subject": "Transaction Successful!",
    "capturedAt": "2026-11-20T12:00:00.250Z",
}
_ONE_MAIL: Json = _MAIL | {
    "headers": [{"name": "Subject", "value": "Transaction Successful!"}],
    "text": "Dear Ann, …",
    "html": "<!doctype html>…",
}
_CAPTURED_MAIL: Json = {
    "number": COUNT,
    "messageId": TEXT,
    "to": TEXT,
    "subject": TEXT,
    "capturedAt": ref("Timestamp"),
}
_LIST_RULE = InvalidField("limit", "must be a whole number from 1 to 200")


SCHEMAS: dict[str, Json] = {
    "MailPreferences": record(
        {
            "locale": {"type": ["string", "null"], "description": "Of CLDR; null: the usual one of the house."},
            "timeZone": {"type": "string", "description": "Of the IANA database."},
            "digest": {"type": "string", "enum": _DIGESTS},
            "events": record({kind.value: {"type": "boolean"} for kind in OPTIONAL_KINDS}),
        },
        "How a user gets mail.",
        example=_EXAMPLE,
    ),
    "CapturedMail": record(_CAPTURED_MAIL, "A mail that would have been sent.", example=_MAIL),
    "WholeMail": record(
        _CAPTURED_MAIL
        | {
            "headers": {"type": "array", "items": record({"name": TEXT, "value": TEXT})},
            "text": TEXT,
            "html": TEXT,
        },
        "A mail that would have been sent, with what is in it.",
        example=_ONE_MAIL,
    ),
}
PARAMETERS: dict[str, Json] = {
    "mail": {
        "name": "mail",
        "in": "path",
        "required": True,
        "description": "The mail's number in the mailbox.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 10**17},
        "example": _MAIL["number"],
    },
    "token": {
        "name": "token",
        "in": "query",
        "required": True,
        "description": "As the link in the mail has it.",
        "schema": TEXT,
        "example": f"{ANN['_id']}.sent.5d41402abc4b2a76b9719d911017c592",
    },
    "recipient": {
        "name": "to",
        "in": "query",
        "description": "Only mail to this address.",
        "allowEmptyValue": True,
        "schema": TEXT,
        "example": ANN["email"],
    },
}


def _preferences(text: str) -> Success:
    return Success(text, {"mailPreferences": ref("MailPreferences")}, {"mailPreferences": _EXAMPLE})


DESCRIPTIONS: Descriptions = {
    ("GET", MAIL_PREFERENCES): Description(
        name="getMailPreferences",
        tag=_TAG,
        summary="How do I get mail",
        text="Whoever never chose gets every mail at once, in the usual locale of the house.",
        access=Access.USER,
        answers=(_preferences("As it is."),),
    ),
    ("PUT", MAIL_PREFERENCES): Description(
        name="changeMailPreferences",
        tag=_TAG,
        summary="Choose how to get mail",
        text="Members that are absent stay as they are. With `digest` daily, one mail a day at seven in the "
        "morning of `timeZone` stands for all optional ones. Mail about passwords is always sent, and at once.",
        access=Access.USER,
        body=Body(
            {
                "locale": {
                    "type": ["string", "null"],
                    "description": "Of CLDR, such as `en-IN`; empty: as is usual where the house currency is.",
                },
                "timeZone": {
                    "type": ["string", "null"],
                    "description": "Of the IANA database, such as Asia/Kolkata.",
                },
                "digest": {"type": ["string", "null"], "description": " or ".join(_DIGESTS)},
                "events": {
                    "type": ["object", "null"],
                    "properties": {kind.value: {"type": "boolean"} for kind in OPTIONAL_KINDS},
                    "additionalProperties": False,
                    "description": "Which optional mails are wanted.",
                },
            },
            (),
            {"quieter": {"digest": "daily", "timeZone": "Asia/Kolkata", "events": {"sent": False}}},
            optional=True,
        ),
        answers=(_preferences("As it is now."),),
        refusals=(InvalidField("timeZone", "must be a time zone of the IANA database such as Asia/Kolkata"),),
    ),
    ("GET", "/unsubscribe"): Description(
        name="askToUnsubscribe",
        tag=_TAG,
        summary="Where the link at the foot of a mail leads",
        text="A page that asks before it ends anything.",
        parameters=("token",),
        answers=(Page("The page.", {"text/html": None}),),
        refusals=(InvalidUnsubscribeLink(),),
        needs_database=False,
    ),
    ("POST", "/unsubscribe"): Description(
        name="unsubscribe",
        tag=_TAG,
        summary="No more mail of a kind",
        text="Needs no login: the link is signed. Also what mail programs call in one step (RFC 8058). "
        "Repeating it changes nothing.",
        parameters=("token",),
        answers=(Page("Done.", {"text/html": None}),),
        refusals=(InvalidUnsubscribeLink(),),
    ),
    ("GET", "/reset-password"): Description(
        name="getResetPage",
        tag=_TAG,
        summary="Where the link of a password mail leads",
        text="A form that calls `POST /api/auth/reset-password`. The token stands behind the `#` of the "
        "address, which browsers send to nobody.",
        answers=(Page("The page.", {"text/html": None}),),
        needs_database=False,
    ),
    ("GET", "/reset-password/form.js"): Description(
        name="getResetScript",
        tag=_TAG,
        summary="What that page needs",
        text="Its script.",
        answers=(Page("The script.", {"text/javascript": None}),),
        needs_database=False,
    ),
    ("GET", "/dev/mail"): Description(
        name="listCapturedMail",
        tag=_TAG,
        summary="The mailbox of development",
        text="Where mail is captured instead of sent; `not_found` elsewhere. A page for those who accept HTML.",
        parameters=("recipient", "limit"),
        answers=(Success("The newest first.", {"mails": list_of("CapturedMail")}, {"mails": [_MAIL]}),),
        refusals=(_LIST_RULE, NotFound()),
    ),
    ("GET", "/dev/mail/{mail}"): Description(
        name="getCapturedMail",
        tag=_TAG,
        summary="One mail of the mailbox",
        text="A page for those who accept HTML.",
        parameters=("mail",),
        answers=(Success("The mail.", {"mail": ref("WholeMail")}, {"mail": _ONE_MAIL}),),
        refusals=(NotFound("There is no such mail"),),
    ),
    ("GET", "/dev/mail/{mail}/html"): Description(
        name="getCapturedMailAsHtml",
        tag=_TAG,
        summary="The HTML of a mail, as it would be seen",
        text="For the frame of the page: it may run nothing, load nothing and lead nowhere.",
        parameters=("mail",),
        answers=(Page("The HTML.", {"text/html": None}),),
        refusals=(NotFound("There is no such mail"),),
    ),
}
