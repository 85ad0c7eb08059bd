"""`limit` and `skip` of a list."""

from starlette.requests import Request

from nostro.domain.errors import InvalidField

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200
LARGEST_SKIP = 1_000_000


def page_of(request: Request) -> tuple[int, int]:
    """limit (1 to 200, 50 unless given) and skip (0 to a million); `InvalidField` for anything else."""
    return limit_of(request), whole_number(request, "skip", 0, 0, LARGEST_SKIP)


def limit_of(request: Request) -> int:
    return whole_number(request, "limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)


def whole_number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """The query parameter `name`; `default` when it is absent or empty, `InvalidField` outside the bounds."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
        raise InvalidField(name, f"must be a whole number from {least} to {most}")
    return int(text)
