"""Writes the OpenAPI 3.1 document of the service as it runs: true for the dialect it speaks."""

import re
from functools import cache

from nostro import __version__
from nostro.api.dialects import DIALECTS, Dialect
from nostro.api.documents import Document, encode
from nostro.api.openapi import (
    account_states,
    accounts,
    auth,
    currencies,
    events,
    follow_ups,
    history,
    limits,
    mail,
    pages,
    periods,
    reports,
    standing_orders,
    stream,
    transactions,
    webhooks,
)
from nostro.api.openapi.description import Access, Body, Description, Descriptions, Json, Page, Success
from nostro.api.openapi.fields import TEXT, TRUE, record
from nostro.api.openapi.overview import OVERVIEW, TAGS
from nostro.api.openapi.parameters import PARAMETERS
from nostro.api.openapi.refusals import responses_of
from nostro.api.openapi.samples import ANN_ACCOUNT_ID
from nostro.api.openapi.schemas import SCHEMAS
from nostro.api.paths import canonical
from nostro.settings import DialectName

DESCRIPTIONS: Descriptions = (
    auth.DESCRIPTIONS
    | accounts.DESCRIPTIONS
    | account_states.DESCRIPTIONS
    | limits.DESCRIPTIONS
    | currencies.DESCRIPTIONS
    | history.DESCRIPTIONS
    | transactions.DESCRIPTIONS
    | follow_ups.DESCRIPTIONS
    | events.DESCRIPTIONS
    | stream.DESCRIPTIONS
    | standing_orders.DESCRIPTIONS
    | webhooks.DESCRIPTIONS
    | reports.DESCRIPTIONS
    | periods.DESCRIPTIONS
    | mail.DESCRIPTIONS
    | pages.DESCRIPTIONS
)

_SECURITY: dict[Access, list[Json]] = {
    Access.PUBLIC: [],
    Access.OPTIONAL: [{}, {"bearer": []}, {"cookie": []}],
    Access.USER: [{"bearer": []}, {"cookie": []}],
    Access.SYSTEM: [{"bearer": []}, {"cookie": []}],
}
_SECURITY_SCHEMES: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `token` of a login. A cookie, when there is one, comes first.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "token",
        "description": "Set by a login. Changes that rest on it must come from an allowed origin.",
    },
}
_HEADERS: dict[str, Json] = {
    "Idempotency-Replayed": {
        "description": "`true`: nothing happened now, this is what the key stands for already.",
        "schema": {"const": "true"},
    },
    "Set-Cookie": {"description": "The cookie `token`: HttpOnly, SameSite=Lax.", "schema": TEXT},
}
_LINKS: dict[str, Json] = {
    "webhook": {
        "operationId": "getWebhook",
        "parameters": {"webhook": "$response.body#/webhook/_id"},
        "description": "The webhook that was made.",
    },
    "balance": {
        "operationId": "getBalance",
        "parameters": {"account": "$response.body#/account/_id"},
        "description": "The balance of the account that was opened.",
    },
    "account": {
        "operationId": "getAccount",
        "parameters": {"account": "$response.body#/account/_id"},
        "description": "The account that was opened.",
    },
    "status": {
        "operationId": "changeAccountStatus",
        "parameters": {"account": "$response.body#/account/_id"},
        "description": "Another status for the account that was opened.",
    },
    "transaction": {
        "operationId": "getTransaction",
        "parameters": {"transaction": "$response.body#/transaction/_id"},
        "description": "The transaction as the caller sees it.",
    },
    "standingOrder": {
        "operationId": "getStandingOrder",
        "parameters": {"order": "$response.body#/standingOrder/_id"},
        "description": "The standing order with its latest occurrences.",
    },
    "pauseStandingOrder": {
        "operationId": "pauseStandingOrder",
        "parameters": {"order": "$response.body#/standingOrder/_id"},
        "description": "A pause of the standing order.",
    },
    "cancelStandingOrder": {
        "operationId": "cancelStandingOrder",
        "parameters": {"order": "$response.body#/standingOrder/_id"},
        "description": "The end of the standing order.",
    },
}


@cache
def encoded_document(dialect: DialectName) -> bytes:
    """The document as it is served; made once per process, when somebody first asks."""
    return encode(document_of(dialect))


def document_of(dialect: DialectName) -> Document:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nostro",
            "version": __version__,
            "summary": "An open double-entry ledger service.",
            "description": OVERVIEW.replace("{dialect}", dialect.value),
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": _paths(dialect),
        "components": {
            "schemas": _gathered(
                SCHEMAS, *(room.SCHEMAS for room in (history, standing_orders, periods, reports, mail))
            ),
            "parameters": _gathered(
                PARAMETERS, *(room.PARAMETERS for room in (history, standing_orders, reports, mail))
            ),
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _gathered(*parts: dict[str, Json]) -> dict[str, Json]:
    """All parts as one; a name that two rooms give to different things is an error."""
    together: dict[str, Json] = {}
    for part in parts:
        for name, schema in part.items():
            assert together.setdefault(name, schema) == schema, f"two things are called {name}"
    return together


def _paths(configured: DialectName) -> Json:
    paths: Json = {}
    for (method, path), described in DESCRIPTIONS.items():
        operation = _operation(method, path, described, dialect_at(path, configured))
        paths.setdefault(path, {})[method.lower()] = operation
    return paths


def dialect_at(path: str, configured: DialectName) -> Dialect:
    """The dialect of a path that only one dialect has, else the configured one."""
    asked = re.sub(r"\{\w+\}", ANN_ACCOUNT_ID, path)
    return DIALECTS[canonical(asked).dialect or configured]


def _operation(method: str, path: str, described: Description, dialect: Dialect) -> Json:
    operation: Json = {
        "operationId": described.name,
        "tags": [described.tag],
        "summary": described.summary,
        "description": described.text,
        "security": _SECURITY[described.access],
        "responses": _successes(described, dialect) | responses_of(method, path, described, dialect),
    }
    if described.parameters:
        operation["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in described.parameters]
    if described.body:
        operation["requestBody"] = _request_body(described.body)
    return operation


def _request_body(body: Body) -> Json:
    optional = tuple(name for name in body.fields if name not in body.required)
    schema = body.schema or record(body.fields, "Other members are ignored.", optional)
    examples = {name: {"value": value} for name, value in body.examples.items()}
    return {
        "required": not body.optional,
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }


def _successes(described: Description, dialect: Dialect) -> Json:
    """By status. In one dialect a fresh answer and a replay have the same status: either is described."""
    responses: Json = {}
    for answer in described.answers:
        if isinstance(answer, Page):
            responses["200"] = _page(answer)
            continue
        status, response = _success(answer, dialect)
        earlier = responses.get(status)
        responses[status] = _either(earlier, response) if earlier else response
    return responses


def _page(page: Page) -> Json:
    content = {
        media: {"schema": TEXT} | ({"example": example} if example else {})
        for media, example in page.media.items()
    }
    return {"description": page.text, "content": content}


def _success(answer: Success, dialect: Dialect) -> tuple[str, Json]:
    status, message = dialect.answer(answer.situation) if answer.situation else (200, "")
    fields, example = dict(answer.fields), dict(answer.example)
    if not answer.without_success:
        fields, example = {"success": TRUE} | fields, {"success": True} | example
    if message:
        fields["message"], example["message"] = {"const": message}, message
    name = answer.situation or "ok"
    response: Json = {
        "description": answer.text,
        "content": {
            "application/json": {
                "schema": record(fields, optional=answer.optional),
                "examples": {name: {"summary": answer.text, "value": example}},
            }
        },
    }
    response["content"] |= {media: {"schema": TEXT} for media in answer.other_media}
    if answer.headers:
        response["headers"] = {header: _HEADERS[header] for header in answer.headers}
    if answer.links:
        response["links"] = {link: _LINKS[link] for link in answer.links}
    return str(status), response


def _either(first: Json, second: Json) -> Json:
    one, other = (response["content"]["application/json"] for response in (first, second))
    merged = first | second
    merged["description"] = f"{first['description']} {second['description']}"
    merged["content"] = {
        "application/json": {
            "schema": {"anyOf": [one["schema"], other["schema"]]},
            "examples": one["examples"] | other["examples"],
        }
    }
    return merged
