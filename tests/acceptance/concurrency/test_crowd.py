"""Many processes begin the same migrations at once: no error, and every effect exactly once."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.acceptance.commandline import Answer, Project, rows
from tests.acceptance.concurrency.crowd import ALL, CONCURRENT, SLOW, ended, executed, history, start, until

if TYPE_CHECKING:
    from bascule.testing.pgbouncer import PgBouncer

SHORT_LEASE = "[limits]\nlease_ttl = 3\n"


@pytest.fixture(params=["direct", "pooled"])
def project(request: pytest.FixtureRequest, tmp_path: Path, bascule_postgres_url: str) -> Project:
    """A project whose commands reach PostgreSQL directly, or through PgBouncer in transaction mode."""
    url = bascule_postgres_url
    if request.param == "pooled":
        pooler: PgBouncer = request.getfixturevalue("bascule_pgbouncer")
        url = pooler.url(url.rsplit("/", 1)[1])
    return Project(tmp_path, DATABASE_URL=url, DIRECT=bascule_postgres_url)


def ask(project: Project, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(project.environment["DIRECT"], autocommit=True) as connection:
        return connection.execute(query).fetchall()


def all_is_done_once(project: Project) -> None:
    """Rows, ledger, journal and the index agree that everything happened, and happened once."""
    assert sorted(ask(project, "select n from t1")) == [(1,), (2,), (3,), (4,), (5,)]
    assert [name for (name,) in ask(project, "select name from bascule.ledger order by position")] == ALL
    completed = ask(
        project, "select migration, count(*) from bascule.journal where kind = 'run_completed' group by 1 order by 1"
    )
    assert completed == [(name, 1) for name in ALL]
    assert ask(project, "select indisvalid from pg_index where indexrelid = 't1_n'::regclass") == [(True,)]
    assert ask(project, "select count(*) from bascule.mark") == [(0,)]
    assert ask(project, "select count(*) from bascule.lease where owner is not null") == [(0,)]


def everybody_ended_well(answers: list[Answer]) -> None:
    assert [answer for answer in answers if answer.code != 0] == []


@pytest.mark.timeout(240)
@pytest.mark.pgbouncer
def test_fifty_processes_at_once_are_fifty_good_ends_and_one_execution(project: Project) -> None:
    history(project)
    answers = ended(start(project, 50))
    everybody_ended_well(answers)
    assert executed(answers) == dict.fromkeys(ALL, 1)
    all_is_done_once(project)


@pytest.mark.timeout(240)
@pytest.mark.pgbouncer
def test_when_the_owner_is_killed_another_takes_over_and_the_rest_end_well(project: Project) -> None:
    (project.folder / "bascule.toml").write_text(SHORT_LEASE)
    history(project, seconds=0.8)
    crowd = start(project, 6)
    owner = at_work(project, crowd)
    owner.kill()
    answers = ended(each for each in crowd if each is not owner)
    owner.communicate(timeout=10)
    everybody_ended_well(answers)
    all_is_done_once(project)


@pytest.mark.timeout(240)
@pytest.mark.pgbouncer
@pytest.mark.parametrize("frozen_at", [SLOW, CONCURRENT])
def test_an_owner_that_was_frozen_past_its_lease_commits_nothing_more(project: Project, frozen_at: str) -> None:
    (project.folder / "bascule.toml").write_text(SHORT_LEASE)
    history(project, seconds=0.8)
    crowd = start(project, 2)
    blocker = hold_up_concurrently(project) if frozen_at == CONCURRENT else None
    owner = at_work(project, crowd, frozen_at)
    owner.send_signal(signal.SIGSTOP)
    if blocker is not None:
        # The server process of the frozen owner still builds its index; only now can it end.
        blocker.close()
    others = ended(each for each in crowd if each is not owner)
    everybody_ended_well(others)
    all_is_done_once(project)
    owner.send_signal(signal.SIGCONT)
    woken = ended([owner])[0]
    assert woken.code in (0, 1), woken
    if woken.code == 1:
        assert woken.json["error"]["code"] in ("lease_lost", "connection_lost"), woken
    all_is_done_once(project)


def at_work(project: Project, crowd: list[subprocess.Popen[str]], name: str = SLOW) -> subprocess.Popen[str]:
    """The process that is just running that migration."""
    by_pid = {each.pid: each for each in crowd}
    word = "pg_sleep" if name == SLOW else "create index concurrently"
    until(
        lambda: bool(
            ask(
                project,
                "select 1 from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() "
                f"and query like '%{word}%' and query not like '%pg_stat_activity%'",
            )
        ),
        what=f"{name} at work",
    )
    owner = str(ask(project, "select owner from bascule.lease")[0][0])
    return by_pid[int(owner.rsplit(":", 1)[1])]


def hold_up_concurrently(project: Project) -> psycopg.Connection[tuple[object, ...]]:
    """An old transaction that CREATE INDEX CONCURRENTLY has to wait for."""
    until(lambda: bool(ask(project, "select to_regclass('t1')")[0][0]), what="table t1")
    connection = psycopg.connect(project.environment["DIRECT"])
    connection.execute("begin isolation level repeatable read")
    connection.execute("select count(*) from t1")
    return connection


@pytest.mark.timeout(120)
def test_a_crowd_on_one_sqlite_file_executes_once(tmp_path: Path) -> None:
    project = Project(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/shop.db")
    history(project, postgresql=False)
    answers = ended(start(project, 12))
    everybody_ended_well(answers)
    assert executed(answers) == dict.fromkeys(ALL, 1)
    assert sorted(rows(tmp_path / "shop.db", "select n from t1")) == [(1,), (2,), (3,), (4,), (5,)]
