"""The process at work is killed or frozen while others wait: one of them takes over, and nothing happens twice.

`test_crowd` kills and freezes it inside a statement; here it is frozen before it sends one, which the fence has to
refuse, and SQLite has its own way.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.testing import PgBouncer, PostgresServer
from tests.acceptance.concurrency.meetings import owner_frozen_between, owner_frozen_on_sqlite, owner_killed
from tests.acceptance.concurrency.scenes import Way, scene_of

PROCESSES = 4

pytestmark = pytest.mark.timeout(300)


def test_on_sqlite_a_killed_owner_is_taken_over_from(tmp_path: Path) -> None:
    with scene_of("SQLite", tmp_path, slow=True, server=None, pooler=None) as scene:
        assert owner_killed(scene, PROCESSES) == []


def test_on_sqlite_a_frozen_owner_keeps_its_lock_and_is_named(tmp_path: Path) -> None:
    with scene_of("SQLite", tmp_path, slow=True, server=None, pooler=None) as scene:
        assert owner_frozen_on_sqlite(scene, PROCESSES) == []


def test_on_postgresql_a_migration_sent_by_a_woken_owner_is_refused(
    tmp_path: Path, bascule_postgres_server: PostgresServer
) -> None:
    with scene_of("PostgreSQL", tmp_path, slow=True, server=bascule_postgres_server, pooler=None) as scene:
        assert owner_frozen_between(scene, PROCESSES) == []


def test_behind_a_pooler_a_migration_sent_by_a_woken_owner_is_refused(
    tmp_path: Path, bascule_postgres_server: PostgresServer, bascule_pgbouncer: PgBouncer
) -> None:
    way: Way = "PostgreSQL through PgBouncer"
    server = bascule_postgres_server
    with scene_of(way, tmp_path, slow=True, server=server, pooler=bascule_pgbouncer) as scene:
        assert owner_frozen_between(scene, PROCESSES) == []
