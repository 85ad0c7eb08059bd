"""The README's own words, run: every ```sh block in order, as a newcomer would type them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Service, start

_ROOT = Path(__file__).parent.parent.parent
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """On its own embedded database, as the README has it."""
    running = start(tmp_path / "service.log", NOSTRO_DATA_DIR=str(tmp_path / "var"))
    yield running
    assert running.stop() == 0
    assert running.process.stdout is not None
    running.process.stdout.close()


@pytest.mark.slow
def test_the_blocks_of_the_readme_run_and_say_what_it_says(service: Service, tmp_path: Path) -> None:
    blocks = _BLOCK.findall((_ROOT / "README.md").read_text())
    script = "set -eu\n" + "".join(blocks)
    # The reader's ./run installs first and listens on 3000; this service is installed, on a port of its own.
    assert "./run " in script
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
    said = re.findall(r'"message":"([^"]*)"|"balance":([0-9.]+)', done.stdout)
    assert [message or balance for message, balance in said] == [
        "Initial funds transaction completed successfully",
        "Transaction completed successfully",
        "Transaction already processed",
        "89.5",
        "10.5",
        "Bulk processed",
        "Transaction completed successfully",
        "Insufficient balance. Current balance is 88.5. Requested amount is 5000",
        "User logged out successfully",
        "Unauthorized access, token is invalid",
    ]
    assert "Created system user" in done.stdout
    assert "The ledger is sound" in done.stdout


def test_every_file_the_documents_link_to_is_there() -> None:
    pages = [_ROOT / name for name in ("README.md", "ARCHITECTURE.md", "GLOSSARY.md", "CHANGELOG.md")]
    pages += (_ROOT / "docs").rglob("*.md")
    missing = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert missing == []
