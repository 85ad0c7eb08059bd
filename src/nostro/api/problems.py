"""Errors as answers: the old body that clients read, with the members of RFC 9457 beside it."""

from datetime import datetime

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
from nostro.domain.event import shown_time

log = structlog.get_logger(__name__)

_RETRY_AFTER_S = "1"
# Errors that share a code with another but have a text of their own in a dialect.
_SITUATIONS: dict[type[NostroError], str] = {
    TokenRevoked: "token_revoked",
    UserGone: "user_gone",
    UnknownAccount: "unknown_account",
    LogoutWithoutToken: "logout_without_token",
}
_AMOUNTS = frozenset(
    {"required", "available", "shortfall", "held", "reversible", "remaining", "balance", "largestAmount"}
)


def problem(request: Request, error: NostroError, dialect: Dialect, operation: str) -> Response:
    """The answer to a refusal. `operation` ("transfer", "funds" or "") chooses the dialect's row."""
    said = told(error, dialect, operation)
    document = _beginning(error, said.pop("message"))
    document["instance"] = request.scope.get("nostro.asked") or request.url.path
    headers = {"Retry-After": _RETRY_AFTER_S} if isinstance(error, Unavailable | RateLimited) else {}
    if said["httpStatus"] == 401:
        headers["WWW-Authenticate"] = "Bearer"
    allowed = said.pop("allow", None)
    if allowed:
        headers["Allow"] = str(allowed)
    return json_answer(said["httpStatus"], document | said, headers)


def bare_problem(error: NostroError) -> Document:
    """The same for what never became a request: nothing was asked for, and in no dialect."""
    return _beginning(error, error.detail) | _members(error, error.http_status)


def _beginning(error: NostroError, message: object) -> Document:
    return {
        "message": message,
        "status": "failed",
        "success": False,
        "type": f"/errors/{error.code}",
        "title": error.title,
    }


def _members(error: NostroError, status: int) -> Document:
    return {
        "code": error.code,
        "httpStatus": status,
        "detail": error.detail,
        "retryable": error.retryable,
    }


def told(error: NostroError, dialect: Dialect, operation: str) -> Document:
    """The refusal itself: message, code, httpStatus, detail, retryable, and what the caller may know of it."""
    facts = {
        name: shown_time(fact) if isinstance(fact, datetime) else fact for name, fact in error.facts.items()
    }
    status, message = _said(error, dialect, operation, facts)
    return {"message": message} | _members(error, status) | facts


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
    exponent = facts.pop("exponent", None)
    if not isinstance(exponent, int):
        return {}
    words = {}
    for name in _AMOUNTS & facts.keys():
        minor = facts[name]
        if isinstance(minor, int):
            shown = number(minor, exponent)
            facts[name] = shown
            words[name] = bytes(shown).decode()
    return words | {"amount": words.get("required", "")}
