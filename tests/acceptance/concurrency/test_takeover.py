"""The process at work is killed or frozen while others wait: one of them takes over, and nothing happens twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from bascule.testing import PgBouncer, PostgresServer
from tests.acceptance.concurrency.meetings import (
    Meeting,
    owner_frozen_at_work,
    owner_frozen_between,
    owner_frozen_in_an_index,
    owner_frozen_on_sqlite,
    owner_killed,
)
from tests.acceptance.concurrency.scenes import scene_of

PROCESSES = 4

pytestmark = pytest.mark.timeout(300)


def test_on_sqlite_a_killed_owner_is_taken_over_from(tmp_path: Path) -> None:
    with scene_of("SQLite", tmp_path, slow=True, server=None, pooler=None) as scene:
        assert owner_killed(scene, PROCESSES) == []


def test_on_sqlite_a_frozen_owner_keeps_its_lock_and_is_named(tmp_path: Path) -> None:
    with scene_of("SQLite", tmp_path, slow=True, server=None, pooler=None) as scene:
        assert owner_frozen_on_sqlite(scene, PROCESSES) == []


@pytest.mark.parametrize(
    "meeting",
    [
        pytest.param(owner_killed, id="killed"),
        pytest.param(owner_frozen_at_work, id="frozen at work"),
        pytest.param(owner_frozen_between, id="frozen before it sends"),
        pytest.param(owner_frozen_in_an_index, id="frozen in an index"),
    ],
)
def test_on_postgresql_the_next_one_finishes_and_the_old_one_commits_nothing_more(
    meeting: Meeting, tmp_path: Path, bascule_postgres_server: PostgresServer
) -> None:
    with scene_of("PostgreSQL", tmp_path, slow=True, server=bascule_postgres_server, pooler=None) as scene:
        assert meeting(scene, PROCESSES) == []


@pytest.mark.parametrize(
    "meeting",
    [
        pytest.param(owner_killed, id="killed"),
        pytest.param(owner_frozen_at_work, id="frozen at work"),
        pytest.param(owner_frozen_between, id="frozen before it sends"),
        pytest.param(owner_frozen_in_an_index, id="frozen in an index"),
    ],
)
def test_behind_a_pooler_the_next_one_finishes_and_the_old_one_commits_nothing_more(
    meeting: Meeting, tmp_path: Path, bascule_postgres_server: PostgresServer, bascule_pgbouncer: PgBouncer
) -> None:
    with scene_of(
        "PostgreSQL through PgBouncer", tmp_path, slow=True, server=bascule_postgres_server, pooler=bascule_pgbouncer
    ) as scene:
        assert meeting(scene, PROCESSES) == []
