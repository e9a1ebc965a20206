"""Many processes begin the same migrations: nobody fails, everything happens exactly once, whatever hits the owner.

`python -m tests.acceptance.concurrency.fifty` does all of it with fifty of them and prints a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bascule.testing import PgBouncer, PostgresServer
from tests.acceptance.concurrency import meetings
from tests.acceptance.concurrency.scenes import Scene, on_postgresql, on_sqlite

ALL = 50
SOME = 12
FEW = 3
"""The owner and two who wait for it."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Scene]:
    with on_sqlite(tmp_path) as scene:
        yield scene


@pytest.fixture(params=["directly", pytest.param("through_pgbouncer", marks=pytest.mark.pgbouncer)])
def pooler(request: pytest.FixtureRequest) -> PgBouncer | None:
    """What stands between the processes and PostgreSQL."""
    if request.param == "directly":
        return None
    found: PgBouncer = request.getfixturevalue("bascule_pgbouncer")
    return found


@pytest.fixture
def postgresql(tmp_path: Path, bascule_postgres_server: PostgresServer, pooler: PgBouncer | None) -> Iterator[Scene]:
    with on_postgresql(tmp_path, bascule_postgres_server, pooler) as scene:
        yield scene


@pytest.fixture
def postgresql_with_python(tmp_path: Path, bascule_postgres_server: PostgresServer) -> Iterator[Scene]:
    """A migration in Python sends its statements one by one. Directly only: behind a pooler it takes a minute."""
    with on_postgresql(tmp_path, bascule_postgres_server, None, kind="Python") as scene:
        yield scene


def test_fifty_at_once_are_fifty_good_ends_and_one_execution(postgresql: Scene) -> None:
    assert meetings.plainly(postgresql, ALL) == []


def test_those_that_begin_in_one_moment_end_well_and_execute_once(postgresql: Scene) -> None:
    assert meetings.at_once(postgresql, SOME) == []


def test_when_the_owner_is_killed_another_takes_over_and_all_others_end_well(postgresql: Scene) -> None:
    assert meetings.owner_killed(postgresql, FEW) == []


def test_an_owner_frozen_while_the_server_is_at_work_commits_nothing_more(postgresql: Scene) -> None:
    assert meetings.owner_frozen_at_work(postgresql, FEW) == []


def test_what_the_server_commits_for_a_frozen_owner_is_not_done_again(postgresql: Scene) -> None:
    assert meetings.owner_frozen_while_the_server_commits(postgresql, FEW) == []


def test_an_owner_frozen_inside_create_index_concurrently_commits_nothing_more(postgresql: Scene) -> None:
    assert meetings.owner_frozen_in_an_index(postgresql, FEW) == []


def test_a_migration_that_a_woken_owner_sends_is_refused(postgresql: Scene) -> None:
    assert meetings.owner_frozen_before_it_sends(postgresql, FEW) == []


def test_an_owner_frozen_between_statements_of_a_transaction_commits_nothing_more(
    postgresql_with_python: Scene,
) -> None:
    assert meetings.owner_frozen_between_statements(postgresql_with_python, FEW) == []


def test_those_that_begin_in_one_moment_on_one_sqlite_file_end_well_and_execute_once(sqlite: Scene) -> None:
    assert meetings.at_once(sqlite, SOME) == []


def test_on_sqlite_a_killed_owner_is_taken_over_from(sqlite: Scene) -> None:
    assert meetings.owner_killed(sqlite, FEW) == []


def test_on_sqlite_a_frozen_owner_keeps_its_lock_and_is_named(sqlite: Scene) -> None:
    assert meetings.owner_frozen_on_sqlite(sqlite, FEW) == []
