"""The page that the link of a password mail leads to. It works offline, and says to nobody which link it was:
the token stands behind the # of the address, and only the page's own script reads it."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.desk import Desk
from nostro.api.rendering import page

_SCRIPT = files(__package__).joinpath("templates", "reset_password.js").read_text("utf-8")
_ALLOWED = "script-src 'self'; connect-src 'self'; form-action 'none'"


async def reset_page(_request: Request, desk: Desk) -> Response:
    return page("reset_password.html", allow=_ALLOWED, house=desk.house)


async def reset_script(_request: Request, _desk: Desk) -> Response:
    return Response(_SCRIPT, media_type="text/javascript; charset=utf-8")
