"""The few pages that are not the ledger's: the root, health, errors explained."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from nostro import __version__
from nostro.api.desk import Desk
from nostro.api.documents import json_answer
from nostro.domain import errors
from nostro.domain.errors import NostroError, NotFound

_LANDING = files(__package__).joinpath("landing.html").read_text("utf-8")


async def root(request: Request, _desk: Desk) -> Response:
    """The landing page for a browser, the old text for everybody else."""
    vary = {"Vary": "Accept"}
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(_LANDING.replace("{version}", __version__), headers=vary | PAGE_HEADERS)
    return PlainTextResponse("Ledger Service is up and running", headers=vary)


# No script, no foreign source: what the pages need they carry.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}


async def health(_request: Request, desk: Desk) -> Response:
    """200 while the database answers, 503 `database_unavailable` otherwise."""
    await desk.ledger.ping()
    return json_answer(200, {"status": "ok", "success": True, "version": __version__})


async def error_explained(request: Request, _desk: Desk) -> Response:
    """What the `type` of an error leads to."""
    error = _ERRORS.get(request.path_params["code"])
    if error is None:
        raise NotFound("There is no error with this code")
    return json_answer(
        200,
        {
            "code": error.code,
            "title": error.title,
            "httpStatus": error.http_status,
            "retryable": error.retryable,
        },
    )


def all_errors() -> list[type[NostroError]]:
    """Every error class with a code of its own, in the order of errors.py."""
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, NostroError) and "code" in vars(value)
    ]
    return list({error.code: error for error in reversed(classes)}.values())[::-1]


_ERRORS = {error.code: error for error in all_errors()}
