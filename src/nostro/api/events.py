"""Events for those who ask for them, the schemas they follow, and how far everybody has come who is sent
them."""

from starlette.requests import Request
from starlette.responses import Response

from nostro.api.desk import Desk
from nostro.api.documents import JSON, follower_document, json_answer
from nostro.api.event_schemas import EVENT_TYPES, schema_document
from nostro.api.paging import limit_of, position_of
from nostro.domain.errors import NotFound, NotOperator
from nostro.domain.user import Role
from nostro.store.documents import encode_document
from nostro.store.users import User

_STAFF = {Role.OPERATOR, Role.AUDITOR}


async def list_events(request: Request, desk: Desk) -> Response:
    """The next events behind `after`: the caller's own, or everybody's for operators and auditors."""
    user = await desk.user(request)
    after, limit = position_of(request, "after"), limit_of(request)
    viewer = None if user.role in _STAFF else user.id
    events, next_position = await desk.ledger.events.after(after, limit, viewer)
    answer = {
        "success": True,
        "events": [event.document(viewer) for event in events],
        "next": next_position,
    }
    return Response(encode_document(answer), media_type=JSON)


async def list_schemas(_request: Request, _desk: Desk) -> Response:
    """Every type of event, with where its schema is."""
    types = [
        {"type": f"io.nostro.{name}", "description": kind.text, "schema": f"/schemas/events/{name}"}
        for name, kind in EVENT_TYPES.items()
    ]
    return json_answer(200, {"success": True, "types": types})


async def one_schema(request: Request, _desk: Desk) -> Response:
    """The JSON Schema of one type, with an example."""
    name = request.path_params["type"].removeprefix("io.nostro.")
    if name not in EVENT_TYPES:
        raise NotFound("There is no type of event with this name")
    return Response(encode_document(schema_document(name)), media_type=JSON)


async def list_followers(request: Request, desk: Desk) -> Response:
    _require_staff(await desk.user(request))
    states = await desk.ledger.following.states()
    return json_answer(200, {"success": True, "followers": [follower_document(state) for state in states]})


def _require_staff(user: User) -> None:
    if user.role not in _STAFF:
        raise NotOperator("Only an operator or an auditor may see this")
