"""Processes that begin in the very same moment: everything happens exactly once, and nobody fails.

`python -m tests.acceptance.concurrency.fifty` does it with fifty of them, everywhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.testing import PgBouncer, PostgresServer
from tests.acceptance.concurrency.meetings import at_once
from tests.acceptance.concurrency.scenes import Way, scene_of

PROCESSES = 12

pytestmark = pytest.mark.timeout(300)


def test_on_sqlite_everything_happens_exactly_once(tmp_path: Path) -> None:
    with scene_of("SQLite", tmp_path, slow=False, server=None, pooler=None) as scene:
        assert at_once(scene, PROCESSES) == []


def test_on_postgresql_everything_happens_exactly_once(tmp_path: Path, bascule_postgres_server: PostgresServer) -> None:
    with scene_of("PostgreSQL", tmp_path, slow=False, server=bascule_postgres_server, pooler=None) as scene:
        assert at_once(scene, PROCESSES) == []


def test_behind_a_pooler_in_transaction_mode_everything_happens_exactly_once(
    tmp_path: Path, bascule_postgres_server: PostgresServer, bascule_pgbouncer: PgBouncer
) -> None:
    way: Way = "PostgreSQL through PgBouncer"
    server = bascule_postgres_server
    with scene_of(way, tmp_path, slow=False, server=server, pooler=bascule_pgbouncer) as scene:
        assert at_once(scene, PROCESSES) == []
