"""docs/reference/errors.md, written from domain/errors.py: `python -m nostro.api.documentation_errors`.

tests/contract/test_openapi_errors_page.py says when it is out of date, and how to write it anew.
"""

import sys

from nostro.api.dialects import DIALECTS
from nostro.api.pages import all_errors
from nostro.domain.errors import PRECEDENCE, NostroError

_HEAD = """\
# Errors

<!-- Written by `python -m nostro.api.documentation_errors > docs/reference/errors.md`; do not edit. -->

Every refusal is a JSON document with a stable `code`, for programs, and a `message` in the words of the
dialect, for people. `GET /errors/{code}` explains one. *Again* says whether the same request may
succeed later without anything else being changed; it is the member `retryable`.

## In order of precedence

When several of these apply to one request, the first is the answer.

"""
_REST = """
`account_not_found` is 404 in every dialect where an account is looked at. A logout without a token is
`token_missing` with 400 in ledgerflow and banking-ledger, and a success in backend-ledger.

## Elsewhere

These depend on the operation and do not compete with each other. 503 and 429 come with `Retry-After`.

"""
_TABLE = "| code | status | meaning | again |\n|---|---|---|---|\n"
_OPERATIONS = ("", "transfer_", "funds_")


def errors_page() -> str:
    """The page, as Markdown."""
    ordered = list({error.code: error for error in PRECEDENCE})
    rest = [error for error in all_errors() if error.code not in ordered]
    return _HEAD + _table(list(PRECEDENCE)) + _REST + _table(rest)


def _table(errors: list[type[NostroError]]) -> str:
    return _TABLE + "".join(_row(error) for error in errors)


def _row(error: type[NostroError]) -> str:
    again = "yes" if error.retryable else "no"
    return f"| `{error.code}` | {_status(error)} | {error.title} | {again} |\n"


def _status(error: type[NostroError]) -> str:
    """The error's own status, or that of the default dialect and those of the dialects that differ."""
    by_dialect = {name.value: _in_dialect(error, dialect.answers) for name, dialect in DIALECTS.items()}
    usual, *_ = by_dialect.values()
    others = [f"{name}: {status}" for name, status in by_dialect.items() if status != usual]
    return usual if not others else f"{usual} ({', '.join(others)})"


def _in_dialect(error: type[NostroError], answers: dict[str, tuple[int, str]]) -> str:
    rows = (operation + error.code for operation in _OPERATIONS)
    statuses = [str(answers[row][0]) for row in rows if row in answers]
    return " or ".join(dict.fromkeys(statuses)) or str(error.http_status)


if __name__ == "__main__":
    sys.stdout.write(errors_page())
