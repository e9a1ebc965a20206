"""For tests: throw-away PostgreSQL and PgBouncer servers, and the pytest plugin that hands them out.

Importing this package starts nothing and needs no database driver.
"""

from __future__ import annotations

from bascule.testing.binaries import ServerNotFound, postgres_bin_dirs
from bascule.testing.pgbouncer import PgBouncer
from bascule.testing.postgres import PostgresServer
from bascule.testing.process import ServerFailed

__all__ = ["PgBouncer", "PostgresServer", "ServerFailed", "ServerNotFound", "postgres_bin_dirs"]
