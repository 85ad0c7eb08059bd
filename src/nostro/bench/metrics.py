"""What the server itself says about its batches, read from /metrics after the run; nothing when it says
nothing.
"""

import http.client
import re

from nostro.bench.server import Target

_BATCH_LINE = re.compile(r"^(?!#)([^\s{]*batch[^\s{]*) ([0-9.eE+-]+)$", re.MULTILINE)  # no histogram buckets
_MAX_FIGURES = 64


def batch_figures(target: Target) -> dict[str, float]:
    connection = http.client.HTTPConnection(target.address, target.port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read(1_000_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
    if answer.status != 200:
        return {}
    return {name: float(value) for name, value in _BATCH_LINE.findall(text)[:_MAX_FIGURES]}
