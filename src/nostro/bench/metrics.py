"""What the server itself says about its batches, read from /metrics; nothing when it says nothing."""

import http.client
import re
from collections.abc import Sequence

from nostro.bench.figures import BatchFigures
from nostro.bench.server import Target

_LINE = re.compile(
    r'^nostro_batch_requests_(bucket|count|sum)(?:\{le="([^"]+)"\})? ([0-9.eE+]+)$', re.MULTILINE
)


def read_batches(target: Target) -> BatchFigures | None:
    """All that were committed since the server started."""
    connection = http.client.HTTPConnection(target.address, target.port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read(1_000_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return parsed(text) if answer.status == 200 else None


def parsed(text: str) -> BatchFigures | None:
    found = {(part, bound): int(float(value)) for part, bound, value in _LINE.findall(text)}
    if ("count", "") not in found:
        return None
    return BatchFigures(
        batches=found["count", ""],
        requests=found["sum", ""],
        up_to={bound: value for (part, bound), value in found.items() if part == "bucket"},
    )


def between(before: BatchFigures | None, after: BatchFigures | None) -> BatchFigures | None:
    if before is None or after is None:
        return None
    return BatchFigures(
        batches=after.batches - before.batches,
        requests=after.requests - before.requests,
        up_to={bound: count - before.up_to.get(bound, 0) for bound, count in after.up_to.items()},
    )


def together(parts: Sequence[BatchFigures | None]) -> BatchFigures | None:
    known = [part for part in parts if part is not None]
    if not known:
        return None
    return BatchFigures(
        batches=sum(part.batches for part in known),
        requests=sum(part.requests for part in known),
        up_to={bound: sum(part.up_to[bound] for part in known) for bound in known[0].up_to},
    )
