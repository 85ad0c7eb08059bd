"""Which files the page at /docs needs. All but our own script come from the installed package
`flask-swagger-ui`, of which nothing else is used: neither Flask nor its templates are ever imported."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

START = "start.js"
# By name, with the content type that each is served with.
DOCS_FILES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
    START: "text/javascript; charset=utf-8",
}


@cache
def swagger_ui() -> Path:
    """The folder of the package's browser files, found without importing it."""
    spec = find_spec("flask_swagger_ui")
    assert spec is not None, "flask-swagger-ui is a dependency"
    assert spec.origin is not None, "flask-swagger-ui is a package with files"
    return Path(spec.origin).parent / "dist"


@cache
def swagger_ui_version() -> str:
    return (swagger_ui() / "VERSION").read_text("ascii").strip().removeprefix("v")
