"""What is said about the pages that are not the ledger's."""

from typing import Final

from nostro import __version__
from nostro.api.openapi.description import Description, Descriptions, Page, Success
from nostro.api.openapi.fields import TEXT
from nostro.domain.errors import InsufficientFunds, NotFound

_TAG: Final = "Service"

DESCRIPTIONS: Descriptions = {
    ("GET", "/"): Description(
        name="getRoot",
        tag=_TAG,
        summary="Is anybody there",
        text="A landing page for those who accept HTML, one line of text for everybody else.",
        answers=(Page("It is.", {"text/plain": "Ledger Service is up and running", "text/html": None}),),
        needs_database=False,
    ),
    ("GET", "/health"): Description(
        name="getHealth",
        tag=_TAG,
        summary="Does the service work",
        text="Asks the database. Also at `/api/health`.",
        answers=(
            Success(
                "It works.",
                {"status": {"const": "ok"}, "version": TEXT},
                {"status": "ok", "version": __version__},
            ),
        ),
    ),
    ("GET", "/metrics"): Description(
        name="getMetrics",
        tag=_TAG,
        summary="What the service has counted",
        text="For Prometheus: batches, answers, refusals. Only programs on the same machine are told, unless "
        "`NOSTRO_METRICS` says otherwise; everybody else gets a 404.",
        answers=(Page("The counts.", {"text/plain": None}),),
        refusals=(NotFound(),),
        needs_database=False,
    ),
    ("GET", "/errors/{code}"): Description(
        name="explainError",
        tag=_TAG,
        summary="What an error means",
        text="Where the `type` of a Problem leads.",
        parameters=("code",),
        answers=(
            Success(
                "The error.",
                {
                    "code": TEXT,
                    "title": TEXT,
                    "httpStatus": {"type": "integer"},
                    "retryable": {"type": "boolean"},
                },
                {
                    "code": InsufficientFunds.code,
                    "title": InsufficientFunds.title,
                    "httpStatus": InsufficientFunds.http_status,
                    "retryable": InsufficientFunds.retryable,
                },
                without_success=True,
            ),
        ),
        refusals=(NotFound("There is no error with this code"),),
        needs_database=False,
    ),
    ("GET", "/openapi.json"): Description(
        name="getDescription",
        tag=_TAG,
        summary="This description",
        text="OpenAPI 3.1, true for the dialect the service speaks.",
        answers=(
            Success(
                "The document.",
                {"openapi": {"const": "3.1.0"}, "info": {"type": "object"}, "paths": {"type": "object"}},
                {"openapi": "3.1.0", "info": {"title": "Nostro"}, "paths": {}},
                without_success=True,
            ),
        ),
        needs_database=False,
    ),
    ("GET", "/docs"): Description(
        name="getDocs",
        tag=_TAG,
        summary="This description as a page",
        text="Every operation can be tried there. Nothing is loaded from anywhere else.",
        answers=(Page("The page.", {"text/html": None}),),
        needs_database=False,
    ),
    ("GET", "/docs/{file}"): Description(
        name="getDocsFile",
        tag=_TAG,
        summary="What the page needs",
        text="Script, style and icon of the page.",
        parameters=("file",),
        answers=(Page("The file.", {"text/css": None, "text/javascript": None, "image/png": None}),),
        refusals=(NotFound(),),
        needs_database=False,
    ),
}
