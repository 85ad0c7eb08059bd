"""The examples of docs/concepts, run after the README's: each answers what its page says it answers."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import start

_ROOT = Path(__file__).parent.parent.parent
_PAGES = ("account-states", "limits", "currencies", "standing-orders", "history", "time", "reports")
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_EXAMPLE = re.compile(r"```sh\n(.*?)```\s+```\n(.*?)```", re.DOTALL)
# What the README does after its last transfer would leave Ann without a token.
_LOGOUT = "/auth/logout"


def _page(name: str) -> str:
    return (_ROOT / "docs" / "concepts" / f"{name}.md").read_text()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each page's commands printed, in one shell, on one ledger, in the order of `_PAGES`."""
    folder = tmp_path_factory.mktemp("concepts")
    service = start(folder / "service.log", NOSTRO_DATA_DIR=str(folder / "var"))
    readme = [block for block in _BLOCK.findall((_ROOT / "README.md").read_text()) if _LOGOUT not in block]
    script = "set -eu\n" + "".join(readme)
    for name in _PAGES:
        script += f"echo '@@@ {name}'\n" + "".join(_BLOCK.findall(_page(name)))
    script = script.replace("./run ", f"{sys.executable} -m nostro ")
    script = script.replace("http://127.0.0.1:3000", service.url)
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^@@@ (.*)\n", done.stdout, flags=re.MULTILINE)
    yield dict(zip(parts[1::2], parts[2::2], strict=True))
    assert service.stop() == 0
    assert service.process.stdout is not None
    service.process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", _PAGES)
def test_an_example_answers_what_its_page_says(answers: dict[str, str], name: str) -> None:
    examples = _EXAMPLE.findall(_page(name))
    assert examples
    said = "".join(answer for _, answer in examples).splitlines()
    printed = [line for line in answers[name].splitlines() if line.startswith("{")]
    assert len(printed) == len(said)
    for line, pattern in zip(printed, said, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, pattern.split("…"))), line), line
