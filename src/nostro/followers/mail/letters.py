"""One letter as its reader sees it: subject, plain text and HTML, written from facts by the templates.

The HTML is escaped by the templates' engine; what people wrote (names, descriptions) is made one line of
printable text before it gets anywhere (tests/unit/test_mail_letters.py).
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from nostro.domain.mail import MailKind
from nostro.followers.mail.facts import Facts, Letter, Movement, Side, Statement
from nostro.followers.mail.wording import Wording

SUBJECTS = {
    MailKind.WELCOME: "Welcome to {house}!",
    MailKind.SENT: "Transaction Successful!",
    MailKind.RECEIVED: "Amount Received Successfully!",
    MailKind.FAILED: "Transaction Failed",
    MailKind.REVERSED: "Transaction Reversed",
    MailKind.STATEMENT_READY: "Your statement is ready",
    MailKind.PASSWORD_RESET: "Set a new {house} password",
    MailKind.PASSWORD_CHANGED: "Your {house} password was changed",
    MailKind.DIGEST: "Your day at {house}",
}
_MOST_OTHERS = 3

_templates = Environment(
    loader=PackageLoader(__package__),
    autoescape=select_autoescape(enabled_extensions=("html",), default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

Rows = list[tuple[str, str]]


class Written(NamedTuple):
    subject: str
    text: str
    html: str


class Envelope(NamedTuple):
    """What a letter says besides its facts. `unsubscribe` and `link` are "" where there is none."""

    house: str
    reader: str
    wording: Wording
    unsubscribe: str = ""
    link: str = ""
    link_lifetime: timedelta = timedelta()


def one_line(text: str) -> str:
    """`text` without line breaks, control characters and runs of white space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def write(letter: Letter, envelope: Envelope) -> Written:
    """The letter, from its kind's two templates."""
    facts, wording = letter.facts, envelope.wording
    said: dict[str, Any] = {
        "rows": rows_of(facts, wording),
        "time": wording.moment(facts.time),
        "link": envelope.link,
        "deadline": wording.moment(facts.time + envelope.link_lifetime),
    }
    if isinstance(facts, Movement):
        said |= {
            "amount": wording.money(facts.amount),
            "others": _people(facts.others),
            "incoming": facts.incoming,
        }
    return _fill(letter.kind, envelope, said)


def write_digest(letters: Sequence[Letter], envelope: Envelope) -> Written:
    """Many letters as one: each with its title and its facts, in the order given."""
    items = [
        {
            "title": one_line(SUBJECTS[letter.kind].format(house=envelope.house)),
            "rows": rows_of(letter.facts, envelope.wording),
        }
        for letter in letters
    ]
    return _fill(MailKind.DIGEST, envelope, {"items": items, "rows": []})


def _fill(kind: MailKind, envelope: Envelope, said: dict[str, Any]) -> Written:
    subject = one_line(SUBJECTS[kind].format(house=envelope.house))
    said |= {
        "subject": subject,
        "house": one_line(envelope.house),
        "reader": one_line(envelope.reader),
        "unsubscribe": envelope.unsubscribe,
        "stop": "Stop these summaries" if kind is MailKind.DIGEST else "Stop e-mails of this kind",
    }
    text, html = (_templates.get_template(f"{kind.value}.{form}").render(said) for form in ("txt", "html"))
    return Written(subject, text, html)


def rows_of(facts: Facts, wording: Wording) -> Rows:
    """Label and value of every fact there is."""
    match facts:
        case Movement():
            rows = _movement(facts, wording)
        case Statement():
            rows = [
                ("Account", _own(facts.own)),
                ("From", wording.day(facts.since)),
                ("Until", wording.day(facts.until)),
            ]
        case _:
            rows = []
    return rows


def _movement(facts: Movement, wording: Wording) -> Rows:
    own, others = _own(facts.own), "; ".join(_other(side) for side in _few(facts.others))
    if len(facts.others) > _MOST_OTHERS:
        others += f"; and {len(facts.others) - _MOST_OTHERS} more"
    payer, receiver = (others, own) if facts.incoming else (own, others)
    rows = [
        ("Amount", wording.money(facts.amount)),
        ("From account", payer),
        ("To account", receiver),
        ("Exchange rate", facts.rate),
        ("Description", one_line(facts.description)),
        ("Reference", one_line(facts.reference)),
        ("Reason", one_line(facts.reason)),
        ("Transaction reference", facts.transaction),
        ("Of transaction", facts.reversed),
        ("Time", wording.moment(facts.time)),
        ("New balance", wording.money(facts.balance) if facts.balance else ""),
    ]
    return [(label, value) for label, value in rows if value]


def _own(side: Side) -> str:
    return f"{one_line(side.name)} ({side.account})" if side.name else side.account


def _other(side: Side) -> str:
    return f"{one_line(side.owner)} ({side.account})"


def _few(sides: Sequence[Side]) -> Sequence[Side]:
    return sides[:_MOST_OTHERS]


def _people(sides: Sequence[Side]) -> str:
    names = list(dict.fromkeys(one_line(side.owner) for side in sides))
    if len(names) > _MOST_OTHERS:
        return f"{', '.join(names[:_MOST_OTHERS])} and {len(names) - _MOST_OTHERS} more"
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
