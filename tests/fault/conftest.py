"""Data directories of the embedded server for tests that break it, and services under load."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nostro.embedded import EmbeddedPostgres
from nostro.embedded.processes import servers_in
from tests.conftest import Service
from tests.fault.scene import Scene, a_scene, with_a_system_user


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


@pytest.fixture
def on_a_server(database_url: str, start_service: Callable[..., Service], tmp_path: Path) -> Iterator[Scene]:
    """A service on the tests' PostgreSQL."""
    with a_scene(with_a_system_user(start_service()), start_service, database_url, tmp_path) as scene:
        yield scene
