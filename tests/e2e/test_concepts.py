"""The examples of docs/concepts, run as a reader would: in the shell of the README's first transfer."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Service, start

_ROOT = Path(__file__).parent.parent.parent
_PAGES = [
    page
    for page in sorted((_ROOT / "docs" / "concepts").glob("*.md"))
    if "In the shell of [the first transfer]" in page.read_text()
]
_SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_ANSWERS = re.compile(r"```\n(.*?)```", re.DOTALL)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = start(tmp_path / "service.log", NOSTRO_DATA_DIR=str(tmp_path / "var"))
    yield running
    running.stop()
    assert running.process.stdout is not None
    running.process.stdout.close()


def _first_transfer() -> list[str]:
    """The README's blocks, up to where Ann has money and before she logs out."""
    blocks = _SHELL.findall((_ROOT / "README.md").read_text())
    last = next(nth for nth, block in enumerate(blocks) if "initial-funds" in block)
    return blocks[: last + 1]


def _as_pattern(answer: str) -> str:
    """What the page leaves out as … may be anything."""
    return ".*?".join(map(re.escape, answer.split("…")))


@pytest.mark.slow
@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_concept_run_and_answer_what_the_page_says(
    page: Path, service: Service, tmp_path: Path
) -> None:
    examples = _SHELL.findall(page.read_text())
    script = "set -eu\n" + "".join([*_first_transfer(), "echo; echo EXAMPLES\n", *examples])
    script = script.replace("./run ", f"{sys.executable} -m nostro ")
    script = script.replace("http://127.0.0.1:3000", service.url)
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.partition("EXAMPLES\n")[2]
    answers = _ANSWERS.findall(_SHELL.sub("", page.read_text()))
    assert answers
    for answer in "".join(answers).splitlines():
        found = re.search(_as_pattern(answer), said)
        assert found, f"{answer}\nis not in\n{said}"
        said = said[found.end() :]
