"""Data directories of the embedded server, for tests that break it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nostro.embedded import EmbeddedPostgres
from nostro.embedded.processes import servers_in


@pytest.fixture(scope="session")
def finished_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, because that takes the longest; stopped, and never used itself."""
    data_dir = tmp_path_factory.mktemp("embedded") / "var"
    with EmbeddedPostgres(data_dir):
        pass
    return data_dir / "pg"


@pytest.fixture
def empty_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; afterwards no server may be left on it."""
    data_dir = tmp_path / "var"
    yield data_dir
    assert servers_in(data_dir / "pg") == [], "a server is left"


@pytest.fixture
def data_dir(empty_dir: Path, finished_cluster: Path) -> Path:
    """A data directory that has been started and stopped before."""
    shutil.copytree(finished_cluster, empty_dir / "pg")
    return empty_dir
