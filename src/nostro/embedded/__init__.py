"""Supervisor of the embedded PostgreSQL: standard library only, blocking calls, safe to use from threads.

with EmbeddedPostgres(Path("var")) as server:
    connect(server.dsn(user="postgres", database="postgres"))
"""

from nostro.embedded.errors import EmbeddedError
from nostro.embedded.postgres import EmbeddedPostgres, Server

__all__ = ["EmbeddedError", "EmbeddedPostgres", "Server"]
