"""docs/reference/errors.md is what domain/errors.py says, row for row."""

from pathlib import Path

from nostro.api.documentation_errors import errors_page
from nostro.api.pages import all_errors

_PAGE = Path(__file__).parents[2] / "docs/reference/errors.md"


def test_the_page_is_current() -> None:
    assert _PAGE.read_text("utf-8") == errors_page(), (
        "run: python -m nostro.api.documentation_errors > docs/reference/errors.md"
    )


def test_the_page_has_a_row_for_every_code_and_one_only() -> None:
    rows = [line.split("`")[1] for line in errors_page().splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted({error.code for error in all_errors()})
