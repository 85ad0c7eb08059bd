"""What is said about events and about followers."""

from typing import Final

from nostro.api.event_schemas import EVENT_TYPES, schema_document
from nostro.api.openapi.description import Access, Description, Descriptions, Success
from nostro.api.openapi.fields import COUNT, TEXT, ref
from nostro.api.openapi.samples import EVENT, FOLLOWER, plain
from nostro.domain.errors import InvalidField, NotFound, NotOperator

_TAG: Final = "Events"
_TRANSFER = "transaction.completed"


DESCRIPTIONS: Descriptions = {
    ("GET", "/api/events"): Description(
        name="listEvents",
        tag=_TAG,
        summary="What happened, from a place in the journal on",
        text="The next events behind `after`: those of the caller and of the caller's accounts; for operators "
        "and auditors, everybody's. Keep `next` and ask from there: nothing is missed, however long you were "
        "away, and nothing comes twice. From beyond the end `next` is the end, which is where to begin if only "
        "what is to come matters. The events are those that webhooks and brokers are sent.",
        access=Access.USER,
        parameters=("after", "limit"),
        answers=(
            Success(
                "The events in order of the journal, and where to ask from next.",
                {"events": {"type": "array", "items": ref("Event")}, "next": COUNT},
                {"events": [EVENT], "next": EVENT["position"]},
            ),
        ),
        refusals=(InvalidField("after", "must be a whole number from 0 to 1000000000000000"),),
    ),
    ("GET", "/schemas/events"): Description(
        name="listEventTypes",
        tag=_TAG,
        summary="Which types of events there are",
        text="Types may be added; a client ignores those it does not know.",
        answers=(
            Success(
                "The types.",
                {
                    "types": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"type": TEXT, "description": TEXT, "schema": TEXT},
                            "required": ["type", "description", "schema"],
                        },
                    }
                },
                {
                    "types": [
                        {
                            "type": f"io.nostro.{_TRANSFER}",
                            "description": EVENT_TYPES[_TRANSFER].text,
                            "schema": f"/schemas/events/{_TRANSFER}",
                        }
                    ]
                },
            ),
        ),
        needs_database=False,
    ),
    ("GET", "/schemas/events/{type}"): Description(
        name="getEventSchema",
        tag=_TAG,
        summary="What an event of a type looks like",
        text="JSON Schema 2020-12, with an example. Within a version, named at the end of `$id`, members may "
        "be added; none is taken away or changes its meaning.",
        parameters=("type",),
        answers=(
            Success(
                "The schema.",
                {
                    "$schema": TEXT,
                    "$id": TEXT,
                    "title": TEXT,
                    "description": TEXT,
                    "type": {"const": "object"},
                    "properties": {"type": "object"},
                    "required": {"type": "array", "items": TEXT},
                    "examples": {"type": "array", "items": ref("Event")},
                },
                plain(schema_document(_TRANSFER)),
                without_success=True,
            ),
        ),
        refusals=(NotFound("There is no type of event with this name"),),
        needs_database=False,
    ),
    ("GET", "/api/followers"): Description(
        name="listFollowers",
        tag=_TAG,
        summary="How far everything that happens after a commit has come",
        text="For operators and auditors. `behind` counts positions, `behindSeconds` is the age of the next "
        "one. `pending` are deliveries to be made or made again, `setAside` those given up. The same as "
        "`nostro followers`.",
        access=Access.USER,
        answers=(
            Success(
                "The followers, by name.",
                {"followers": {"type": "array", "items": ref("Follower")}},
                {"followers": [FOLLOWER]},
            ),
        ),
        refusals=(NotOperator("Only an operator or an auditor may see this"),),
    ),
}
