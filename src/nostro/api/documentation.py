"""The description of the API, as a document and as a page where every operation can be tried.

The page works offline: its script and style are the installed package's, served from here, and its policy lets
the browser load nothing from anywhere else (tests/e2e/test_docs_page.py).
"""

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from nostro.api.desk import Desk
from nostro.api.documentation_files import DOCS_FILES, START, swagger_ui, swagger_ui_version
from nostro.api.documents import JSON
from nostro.api.openapi.document import encoded_document
from nostro.domain.errors import NotFound

# Swagger UI sets style attributes and carries its icons as data: addresses; it evaluates no text as script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The addresses in the page carry the version, so a new version is a new address.
_FOR_A_YEAR = {"Cache-Control": "public, max-age=31536000, immutable"}

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Nostro: the API</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png?v={version}">
<link rel="stylesheet" href="/docs/swagger-ui.css?v={version}">
<div id="swagger-ui"><p>This page needs JavaScript. The description itself is at
<a href="/openapi.json">/openapi.json</a>.</p></div>
<script src="/docs/swagger-ui-bundle.js?v={version}"></script>
<script src="/docs/start.js"></script>
</html>
"""

# Cookies are sent along, so a login on this page counts for what is tried after it. The validator badge would
# show the document's address to a foreign host.
_START = """\
const ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "/openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  withCredentials: true,
});
"""


async def openapi(_request: Request, desk: Desk) -> Response:
    return Response(encoded_document(desk.dialect_name), media_type=JSON)


async def docs_page(_request: Request, _desk: Desk) -> Response:
    page = _PAGE.replace("{version}", swagger_ui_version())
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})


async def docs_file(request: Request, _desk: Desk) -> Response:
    """One of the files that the page names; the name is looked up, so no path leads out of the folder."""
    name = request.path_params["file"]
    if name not in DOCS_FILES:
        raise NotFound
    if name == START:
        return Response(_START, media_type=DOCS_FILES[name])
    return FileResponse(swagger_ui() / name, media_type=DOCS_FILES[name], headers=_FOR_A_YEAR)
