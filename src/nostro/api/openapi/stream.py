"""What is said about the live stream."""

from typing import Final

from nostro.api.documents import encode
from nostro.api.openapi.description import Access, Description, Descriptions, Page
from nostro.api.openapi.samples import ANN_ACCOUNT
from nostro.domain.errors import (
    InvalidField,
    NotOperator,
    StreamsFull,
    TooManyStreams,
    UnknownPosition,
)

_EXAMPLE: Final = (
    "retry: 2000\n\n"
    f"event: snapshot\nid: 1041\ndata: {encode({'position': 1041, 'accounts': [ANN_ACCOUNT]}).decode()}\n\n"
    'event: heartbeat\nid: 1041\ndata: {"position":1041}\n\n'
)

DESCRIPTIONS: Descriptions = {
    ("GET", "/api/stream"): Description(
        name="followAccounts",
        tag="Events",
        summary="What happens to my accounts, live",
        text="Server-sent events without an end. First `snapshot`, the caller's accounts as they stand at a "
        "position of the journal; then every event that concerns them, in order, as a CloudEvent with the "
        "balances after it; `heartbeat` says up to which position nothing was missed; `end` says why the "
        "service ends the stream. Each `id` is a position to resume from. A client that does not read is cut "
        "off, and resumes.",
        access=Access.USER,
        parameters=("lastEventId", "Last-Event-ID", "scope"),
        answers=(Page("The stream.", {"text/event-stream": _EXAMPLE}),),
        refusals=(
            InvalidField("lastEventId", "must be the id of an event of this stream"),
            UnknownPosition(),
            NotOperator("Only operators and auditors may follow everybody's accounts"),
            TooManyStreams(),
            StreamsFull(),
        ),
    ),
}
