"""A browser for the tests that look at pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import CHROMIUM, Browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: no page was looked at")
    opened = Browser(tmp_path / "profile")
    try:
        opened.open_page()
        yield opened
    finally:
        opened.close()
