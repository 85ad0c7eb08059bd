"""The refusals of an operation as OpenAPI responses: each example is the answer that problems.py gives.

What access, body and path imply is added here, so that a description names only what is its own.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from nostro.api.dialects import Dialect
from nostro.api.openapi.description import Access, Description, Json
from nostro.api.openapi.fields import ref
from nostro.api.problems import problem
from nostro.domain.errors import (
    BodyTooLarge,
    CrossSiteRefused,
    DatabaseUnavailable,
    DuplicateField,
    MalformedJson,
    NostroError,
    NotFound,
    NotSystemUser,
    StorageFull,
    TokenInvalid,
    TokenMissing,
    TokenRevoked,
    UnsupportedMediaType,
    UserGone,
)

_HEADERS: dict[str, Json] = {
    "retry-after": {"description": "Seconds to wait.", "required": True, "schema": {"type": "string"}},
    "www-authenticate": {"required": True, "schema": {"const": "Bearer"}},
}


def responses_of(method: str, path: str, described: Description, dialect: Dialect) -> Json:
    """By status, each with the codes it can carry and an example of every one."""
    answered = [
        (error, problem(_request(path), error, dialect, words))
        for error, words in refusals_of(method, path, described, dialect)
    ]
    # A dialect may answer with a success what another refuses: a logout without a token.
    refused = sorted((pair for pair in answered if pair[1].status_code >= 400), key=_status)
    return {str(status): _response(list(pairs)) for status, pairs in groupby(refused, _status)}


def _status(pair: tuple[NostroError, Response]) -> int:
    return pair[1].status_code


def refusals_of(
    method: str, path: str, described: Description, dialect: Dialect
) -> list[tuple[NostroError, str]]:
    """An example of every refusal, the implied ones first, and in whose words it is said."""
    own = described.in_dialect(dialect) if described.in_dialect else ()
    refusals = [*_implied(method, path, described), *described.refusals, *own]
    return [
        *((error, described.words) for error in refusals),
        *((error, "transfer") for error in described.culprits),
    ]


def _implied(method: str, path: str, described: Description) -> Iterator[NostroError]:
    if described.access in {Access.USER, Access.SYSTEM}:
        yield from (TokenMissing(), TokenInvalid(), TokenRevoked(), UserGone())
    if described.access is Access.SYSTEM:
        yield NotSystemUser()
    if described.access is Access.OPTIONAL or (described.access is not Access.PUBLIC and method != "GET"):
        yield CrossSiteRefused()
    if described.body:
        yield from (BodyTooLarge(), UnsupportedMediaType(), MalformedJson())
        yield DuplicateField("'amount' stands twice in one JSON object")
    if "{" in path:
        # A path of more than a kilobyte is nowhere.
        yield NotFound()
    if described.needs_database:
        yield from (DatabaseUnavailable(), StorageFull())
    yield NostroError()


def _request(path: str) -> Request:
    return Request({"type": "http", "path": path, "nostro.asked": path, "headers": []})


def _response(pairs: Iterable[tuple[NostroError, Response]]) -> Json:
    errors, answers = zip(*pairs, strict=True)
    bodies = [msgspec.json.decode(bytes(answer.body)) for answer in answers]
    codes = list(dict.fromkeys(error.code for error in errors))
    schema = {
        "allOf": [
            ref("Problem"),
            {
                "properties": {
                    "code": {"enum": codes},
                    "httpStatus": {"const": answers[0].status_code},
                }
            },
        ]
    }
    response: Json = {
        "description": " · ".join(codes),
        "content": {"application/json": {"schema": schema, "examples": _examples(bodies)}},
    }
    headers = {name.title(): header for name, header in _HEADERS.items() if _all_have(answers, name)}
    return response | ({"headers": headers} if headers else {})


def _examples(bodies: list[Json]) -> Json:
    """Named after their codes; the second of one code has a number."""
    examples: Json = {}
    for body in bodies:
        seen = sum(1 for name in examples if name.split(" ")[0] == body["code"])
        name = f"{body['code']} {seen + 1}" if seen else body["code"]
        examples[name] = {"summary": body["message"], "value": body}
    return examples


def _all_have(answers: Iterable[Response], name: str) -> bool:
    return all(name in answer.headers for answer in answers)
