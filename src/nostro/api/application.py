"""The ASGI application: one spelling of the path, the route, the answer, and every error as JSON."""

from collections.abc import Sequence

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from nostro.api.authentication import Origins
from nostro.api.desk import Desk
from nostro.api.operations import Operation
from nostro.api.paths import INITIAL_FUNDS, LONGEST_PATH, TRANSACTIONS, canonical
from nostro.api.problems import problem
from nostro.domain.errors import HeadersTooLarge, MethodNotAllowed, NostroError, NotFound
from nostro.ledger.counts import ORDINARY

log = structlog.get_logger(__name__)

_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_NOT_STORED = (b"cache-control", b"no-store")
# What the lean path adds, too, where nothing is stored and no origin was sent.
HEADERS_OF_EVERY_ANSWER = [*_SECURITY_HEADERS, _NOT_STORED, (b"vary", b"Origin")]
LARGEST_HEADERS = 32 * 1024
_NOWHERE = "/a-path-too-long-to-be-one-of-ours"
_HOT = {("POST", TRANSACTIONS), ("POST", INITIAL_FUNDS)}


class Application:
    """Finds the operation of a request. The hot ones are found without walking the routes."""

    def __init__(self, desk: Desk, operations: Sequence[Operation]) -> None:
        self._desk = desk
        self._routes = [(Route(op.path, _never, methods=[op.method]), op) for op in operations]
        self._spelt_out = {op.path for op in operations if "{" not in op.path}
        self._hot = {(op.method, op.path): op for op in operations if (op.method, op.path) in _HOT}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        raw_path = scope["raw_path"].decode("latin-1")
        path, dialect = canonical(raw_path) if len(raw_path) <= LONGEST_PATH else (_NOWHERE, None)
        scope["nostro.asked"], scope["path"], scope["nostro.dialect"] = scope["path"], path, dialect
        request = Request(scope, receive)
        response = await self._answer(request, scope["method"], path)
        self._desk.ledger.counts.answered(ORDINARY, response.status_code)
        response.raw_headers.extend(_SECURITY_HEADERS)
        # Nothing about anybody's money is kept on the way; only the files of a page say otherwise.
        if all(name != b"cache-control" for name, _ in response.raw_headers):
            response.raw_headers.append(_NOT_STORED)
        await response(scope, receive, send)

    async def _answer(self, request: Request, method: str, path: str) -> Response:
        words = ""
        try:
            _refuse_large_headers(request)
            operation = self._hot.get((method, path)) or self._find(request)
            words = operation.words
            return await operation.endpoint(request, self._desk)
        except NostroError as error:
            self._desk.ledger.counts.refused(error.code)
            return problem(request, error, self._desk.dialect(request), words)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            log.exception("request_failed", method=method, operation=words or "other")
            return problem(request, NostroError(), self._desk.dialect(request), words)

    def _find(self, request: Request) -> Operation:
        """Raises `NotFound`, or `MethodNotAllowed` with the methods that the path has.

        A path that is spelt out (`…/bulk`) is never taken for one with a name in it (`…/{transaction}`).
        """
        path = request.scope["path"]
        spelt_out = path in self._spelt_out
        allowed: set[str] = set()
        for route, operation in self._routes:
            if spelt_out and operation.path != path:
                continue
            match, child_scope = route.matches(request.scope)
            if match is Match.FULL:
                request.scope.update(child_scope)
                return operation
            if match is Match.PARTIAL:
                allowed |= route.methods or set()
        if allowed:
            raise MethodNotAllowed(allow=", ".join(sorted(allowed)))
        raise NotFound


def _refuse_large_headers(request: Request) -> None:
    if sum(len(name) + len(value) for name, value in request.headers.raw) > LARGEST_HEADERS:
        raise HeadersTooLarge


async def _never(_request: Request) -> Response:
    raise AssertionError("routes only match here; operations answer")


def with_cors(app: ASGIApp, origins: Origins) -> ASGIApp:
    """Credentials for the allowed origins: the origin echoed, preflights answered, errors included."""
    return CORSMiddleware(
        app,
        allow_origins=origins.configured,
        allow_origin_regex=Origins.LOOPBACK if origins.development else None,
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        # Whatever a page of an allowed origin wants to send, as the five systems let it.
        allow_headers=["*"],
        expose_headers=["Idempotency-Replayed", "Retry-After"],
        allow_credentials=True,
        max_age=600,
    )
