"""Named queries: `-- name: lock_accounts` in sql/*.sql becomes `SQL["lock_accounts"]`."""

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def _load() -> dict[str, str]:
    queries: dict[str, str] = {}
    for file in sorted(files(__package__).joinpath("sql").iterdir(), key=lambda path: path.name):
        if not file.name.endswith(".sql"):
            continue
        _, *parts = _NAME.split(file.read_text("utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in queries:
                raise ValueError(f"two queries are called {name}")
            queries[name] = text.strip()
    return queries


SQL = _load()


def load_invariants() -> dict[str, str]:
    """The invariants of rules.md by file name, in order: each returns no row in a healthy ledger."""
    folder = files(__package__).joinpath("sql", "invariants")
    return {
        file.name.removesuffix(".sql"): file.read_text("utf-8")
        for file in sorted(folder.iterdir(), key=lambda path: path.name)
        if file.name.endswith(".sql")
    }
