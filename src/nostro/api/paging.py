"""`limit` and `skip` of a list, and a place in the journal."""

from starlette.requests import Request

from nostro.domain.errors import InvalidField

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200
LARGEST_SKIP = 1_000_000
LARGEST_POSITION = 10**15


def page_of(request: Request) -> tuple[int, int]:
    """limit (1 to 200, 50 unless given) and skip (0 to a million); `InvalidField` for anything else."""
    return limit_of(request), whole_number(request, "skip", 0, 0, LARGEST_SKIP)


def limit_of(request: Request) -> int:
    """How many to answer: 1 to 200, 50 unless given; `InvalidField` for anything else."""
    return whole_number(request, "limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)


def position_of(request: Request, name: str) -> int:
    """A place in the journal, 0 unless given; `InvalidField` for anything else."""
    return whole_number(request, name, 0, 0, LARGEST_POSITION)


def whole_number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """The query parameter `name`; `default` when it is absent or empty, `InvalidField` outside the bounds."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise InvalidField(name, f"must be a whole number from {least} to {most}")
    return int(text)
