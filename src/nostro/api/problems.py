"""Errors as answers: the old body that clients read, with the members of RFC 9457 beside it."""

import structlog
from starlette.requests import Request
from starlette.responses import Response

from nostro.api.dialects import Dialect
from nostro.api.documents import Document, json_answer, number
from nostro.domain.errors import (
    LogoutWithoutToken,
    NostroError,
    RateLimited,
    TokenRevoked,
    Unavailable,
    UnknownAccount,
    UserGone,
)
from nostro.ledger.currencies import currency_of

log = structlog.get_logger(__name__)

_RETRY_AFTER_S = "1"
# Errors that share a code with another but have a text of their own in a dialect.
_SITUATIONS: dict[type[NostroError], str] = {
    TokenRevoked: "token_revoked",
    UserGone: "user_gone",
    UnknownAccount: "unknown_account",
    LogoutWithoutToken: "logout_without_token",
}


def problem(request: Request, error: NostroError, dialect: Dialect, operation: str) -> Response:
    """The answer to a refusal. `operation` ("transfer", "funds" or "") chooses the dialect's row."""
    facts = dict(error.facts)
    status, message = _said(error, dialect, operation, facts)
    document: Document = {
        "message": message,
        "status": "failed",
        "success": False,
        "code": error.code,
        "retryable": error.retryable,
        "type": f"/errors/{error.code}",
        "title": error.title,
        "detail": error.detail,
        "instance": request.scope.get("nostro.asked", request.url.path),
        "httpStatus": status,
    }
    headers = {"Retry-After": _RETRY_AFTER_S} if isinstance(error, Unavailable | RateLimited) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    allowed = facts.pop("allow", None)
    if allowed:
        headers["Allow"] = str(allowed)
    return json_answer(status, document | facts, headers)


def _said(error: NostroError, dialect: Dialect, operation: str, facts: dict[str, object]) -> tuple[int, str]:
    """Status and text in the dialect; amounts among the facts become numbers in major units."""
    words = _amounts_in_major_units(facts)
    blank = facts.pop("blank", False)
    code = "missing_field" if blank else _SITUATIONS.get(type(error), error.code)
    for situation in (f"{operation}_{code}", code):
        if situation in dialect.answers:
            status, text = dialect.answer(situation)
            return status, text.format(**words)
    return error.http_status, error.detail


def _amounts_in_major_units(facts: dict[str, object]) -> dict[str, str]:
    currency = facts.get("currency")
    if not isinstance(currency, str):
        return {}
    exponent = currency_of(currency).exponent
    words = {}
    for name in ("required", "available", "shortfall"):
        minor = facts.get(name)
        if isinstance(minor, int):
            shown = number(minor, exponent)
            facts[name] = shown
            words[name] = bytes(shown).decode()
    return words | {"amount": words.get("required", "")}
