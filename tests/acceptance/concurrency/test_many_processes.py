"""Many processes on one database: everything happens exactly once, and nobody fails.

`python -m tests.acceptance.concurrency.fifty` does the same with fifty of them everywhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.testing import PgBouncer, PostgresServer
from tests.acceptance.concurrency.meetings import at_once, plainly
from tests.acceptance.concurrency.scenes import scene_of

pytestmark = pytest.mark.timeout(300)


def test_on_sqlite_everything_happens_exactly_once(tmp_path: Path) -> None:
    with scene_of("SQLite", tmp_path, slow=False, server=None, pooler=None) as scene:
        assert at_once(scene, 12) == []


def test_on_postgresql_everything_happens_exactly_once(tmp_path: Path, bascule_postgres_server: PostgresServer) -> None:
    with scene_of("PostgreSQL", tmp_path, slow=False, server=bascule_postgres_server, pooler=None) as scene:
        assert plainly(scene, 12) == []


def test_fifty_at_once_on_postgresql_do_everything_exactly_once(
    tmp_path: Path, bascule_postgres_server: PostgresServer
) -> None:
    with scene_of("PostgreSQL", tmp_path, slow=False, server=bascule_postgres_server, pooler=None) as scene:
        assert at_once(scene, 50) == []


def test_behind_a_pooler_in_transaction_mode_everything_happens_exactly_once(
    tmp_path: Path, bascule_postgres_server: PostgresServer, bascule_pgbouncer: PgBouncer
) -> None:
    with scene_of(
        "PostgreSQL through PgBouncer",
        tmp_path,
        slow=False,
        server=bascule_postgres_server,
        pooler=bascule_pgbouncer,
    ) as scene:
        assert at_once(scene, 12) == []
