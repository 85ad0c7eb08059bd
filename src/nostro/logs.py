"""Logs: a JSON object per line on standard error, or text on a terminal. Nothing a client sent is in them."""

import logging
import sys
import traceback
from types import TracebackType

import structlog
from structlog.typing import EventDict, WrappedLogger


def configure_logs(level: str = "info") -> None:
    """Messages are events with a few named facts; bodies, tokens and passwords are never among them."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _say_where_not_what,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _say_where_not_what(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An exception as its chain of types and the places it passed.

    Never its message: a driver's may quote the row it could not store, password hash included
    (tests/contract/test_secrets.py).
    """
    if event.pop("exc_info", None):
        error = sys.exc_info()[1]
        chain = []
        while error is not None:
            chain.append({"type": _type(error), "at": _places(error.__traceback__)})
            error = error.__cause__ or error.__context__
        event["exception"] = chain
    return event


def _type(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__


def _places(trace: TracebackType | None) -> list[str]:
    return [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(trace)]
