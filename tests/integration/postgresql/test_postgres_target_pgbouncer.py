"""The PostgreSQL target behind a pooler that gives every transaction another server process."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from bascule.domain.history import Holder
from bascule.domain.statement import Effect
from bascule.errors import Refused
from bascule.ports.database import Limits, WorkFailed
from bascule.testing import PgBouncer, PostgresServer
from tests.integration.postgresql.target_builders import (
    child,
    job,
    lease_of,
    leased,
    line,
    names_of,
    opened,
    rows,
    statement,
    touch,
    wait_for,
)

SHORT = Limits(lease_ttl=1.5)


@pytest.fixture
def pooled(bascule_pgbouncer: PgBouncer, bascule_postgres_url: str) -> str:
    """The database of the test, through the pooler."""
    return bascule_pgbouncer.url(urlsplit(bascule_postgres_url).path.removeprefix("/"))


@pytest.fixture
def narrow(bascule_postgres_server: PostgresServer, bascule_postgres_url: str) -> Iterator[str]:
    """The same through a pooler with one server connection, which everybody gets in turn."""
    with PgBouncer(bascule_postgres_server, pool_size=1) as pooler:
        yield pooler.url(urlsplit(bascule_postgres_url).path.removeprefix("/"))


def test_a_pooler_is_noticed(pooled: str, bascule_postgres_url: str) -> None:
    with opened(pooled) as behind, opened(bascule_postgres_url) as direct:
        assert behind.describe().pooled
        assert not direct.describe().pooled


def test_a_pooler_before_a_database_that_reads_strings_the_old_way_is_refused(
    bascule_postgres_server: PostgresServer, bascule_postgres_url: str
) -> None:
    database = urlsplit(bascule_postgres_url).path.removeprefix("/")
    rows(bascule_postgres_url, f'ALTER DATABASE "{database}" SET standard_conforming_strings = off')
    with PgBouncer(bascule_postgres_server, pool_size=1) as pooler, opened(pooler.url(database)) as target:
        with pytest.raises(Refused, match="standard_conforming_strings is off") as caught:
            target.prepare()
        assert (caught.value.code, caught.value.state) == ("old_strings", "unchanged")


def test_a_job_and_its_bookkeeping_work_as_ever(pooled: str) -> None:
    with leased(pooled, search_path="app, public") as (target, lease):
        done = target.perform(
            job("CREATE SCHEMA app", "CREATE TABLE app.t (i int)", "INSERT INTO t VALUES (1)", before=touch("t")),
            lease=lease,
        )
        assert done.rows == (-1, -1, 1)
        target.perform(job("ALTER TABLE t ADD j int", name="widen", before=touch("t")), lease=lease)
        before = target.before("widen")
        assert before is not None
        assert list(before.objects) == ["table app.t"]
        assert names_of(target) == ["m", "widen"]
        assert target.query("SELECT count(*) FROM t") == [(1,)]
        target.perform_with(job(name="python"), lambda c: c.execute("SELECT * FROM t").fetchall(), lease=lease)
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("SELECT 1", "SELECT nothing FROM t", name="bad"), lease=lease)
        assert (failure.value.statement, failure.value.position) == (1, 7)


def test_nothing_that_was_set_reaches_whoever_gets_the_server_connection_next(narrow: str) -> None:
    import psycopg

    with leased(narrow) as (target, lease):
        target.perform(
            job(
                "SET work_mem = '7MB'",
                "SET search_path TO nowhere, public",
                "CREATE TEMPORARY TABLE passing (i int)",
                "LISTEN somebody",
                "SELECT pg_advisory_lock(1)",
            ),
            lease=lease,
        )
        with psycopg.connect(narrow, autocommit=True, prepare_threshold=None) as app:
            shown = app.execute(
                "SELECT current_setting('work_mem'), current_setting('search_path'), to_regclass('pg_temp.passing'), "
                "(SELECT count(*) FROM pg_listening_channels()), "
                "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), "
                "current_setting('client_connection_check_interval'), current_setting('lock_timeout')"
            ).fetchone()
        assert shown == ("4MB", '"$user", public', None, 0, 0, "0", "0")


def test_who_blocks_is_named(pooled: str, bascule_postgres_url: str) -> None:
    import psycopg

    with leased(pooled, limits=Limits(lock_timeout=0.3)) as (target, lease):
        target.perform(job("CREATE TABLE t (i int)"), lease=lease)
        with psycopg.connect(bascule_postgres_url) as blocker:
            pid = blocker.info.backend_pid
            blocker.execute("SELECT * FROM t")
            with pytest.raises(WorkFailed) as failure:
                target.perform(job("ALTER TABLE t ADD j int", name="b"), lease=lease)
        assert failure.value.kind == "lock_timeout"
        assert f"pid {pid} " in failure.value.blockers[0]


def test_a_statement_outside_a_transaction_is_bounded_by_our_own_clock(pooled: str, bascule_postgres_url: str) -> None:
    import psycopg

    with leased(pooled, limits=Limits(bare_lock_wait=0.5)) as (target, lease):
        rows(bascule_postgres_url, "CREATE TABLE t (i int)")
        build = statement("CREATE INDEX CONCURRENTLY ix ON t (i)")
        effect = Effect(action="create_index", name="ix", table="t")
        with psycopg.connect(bascule_postgres_url) as old:
            old.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(WorkFailed) as failure:
                target.perform_bare(build, lease=lease, run_id="r")
        assert failure.value.kind == "lock_timeout"
        assert failure.value.blockers
        assert target.observe(effect).state == "broken"
        target.repair(effect, lease=lease)
        target.perform_bare(build, lease=lease, run_id="r")
        assert target.observe(effect).state == "complete"
        with pytest.raises(WorkFailed, match="behind a pooler"):
            target.perform_bare(build, settings=("SET search_path TO x",), lease=lease, run_id="r")


def test_names_are_looked_for_on_the_search_path_that_is_set(pooled: str, bascule_postgres_url: str) -> None:
    rows(bascule_postgres_url, "CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('ok')")
    there = Effect(action="add_enum_value", name="mood", value="ok")
    missing = Effect(action="add_enum_value", name="mood", value="bad")
    with opened(pooled, search_path="app") as target:
        assert (target.observe(there).state, target.observe(missing).state) == ("complete", "absent")


def test_a_way_past_the_pooler_is_used_for_what_needs_one(pooled: str, bascule_postgres_url: str) -> None:
    with leased(pooled, direct_url=bascule_postgres_url, limits=SHORT) as (target, lease):
        rows(bascule_postgres_url, "CREATE SCHEMA app; CREATE TABLE app.t (i int)")
        build = statement("CREATE INDEX CONCURRENTLY ix ON t (i)")
        target.perform_bare(build, settings=("SET search_path TO app",), lease=lease, run_id="r")
        target.perform(job("SELECT 1"), lease=lease)
        assert rows(
            bascule_postgres_url, "SELECT pooled, keeper_pid IS NOT NULL, main_pid IS NOT NULL FROM bascule.lease"
        ) == [(True, True, True)]
        time.sleep(2)
        assert lease.held()
        target.reconnect()
        target.perform_bare(statement("VACUUM app.t"), lease=lease, run_id="r")
        assert lease.held()


def test_it_is_held_renewed_lost_and_given_back_as_ever(pooled: str) -> None:
    with leased(pooled, limits=SHORT) as (target, lease), opened(pooled, limits=SHORT) as other:
        time.sleep(2)
        assert lease.held()
        assert isinstance(other.acquire(owner="other@here:2", run="run_2"), Holder)
        lease.release()
        taken = lease_of(other)
        assert taken.taken_from is None
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("CREATE TABLE t (i int)"), lease=lease)
        assert failure.value.kind == "fence"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_of_a_process_that_ended_in_its_message_it_is_taken_over_when_it_has_run_out(
    pooled: str, bascule_postgres_url: str, how: signal.Signals
) -> None:
    process = child(
        pooled,
        """
        with leased(url, limits=Limits(lease_ttl=1.5)) as (target, lease):
            say("leased")
            try:
                target.perform(job("CREATE TABLE late (i int)", "SELECT pg_sleep(60)"), lease=lease)
            except WorkFailed as failure:
                say(failure.kind)
        """,
    )
    asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with process, opened(pooled, limits=SHORT) as target:
        assert line(process) == "leased"
        wait_for(lambda: rows(bascule_postgres_url, asleep))
        process.send_signal(how)
        answer = target.acquire(owner="other@here:2", run="run_2")
        while isinstance(answer, Holder):
            time.sleep(0.1)
            answer = target.acquire(owner="other@here:2", run="run_2")
        assert answer.taken_from is not None
        assert rows(bascule_postgres_url, asleep) == []
        target.perform(job("CREATE TABLE late (i int)", name="mine"), lease=answer)
        process.send_signal(signal.SIGCONT)
        assert line(process) in ("", "lost", "fence")
        assert names_of(target) == ["mine"]


def test_of_many_at_once_one_gets_it_and_none_fails(narrow: str) -> None:
    answers: list[object] = []

    def take() -> None:
        with opened(narrow, limits=Limits(lease_ttl=30)) as target:
            answers.append(target.acquire(owner="one@here:1", run="run_1"))
            together.wait()

    together = threading.Barrier(10)
    threads = [threading.Thread(target=take) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 10
    assert sum(not isinstance(answer, Holder) for answer in answers) == 1


def test_a_lost_connection_is_found_again(pooled: str, bascule_postgres_url: str) -> None:
    with leased(pooled) as (target, lease):
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        timer = threading.Timer(0.4, rows, (bascule_postgres_url, kill))
        timer.start()
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("CREATE TABLE t (i int)", "SELECT pg_sleep(30)"), lease=lease)
        timer.join()
        assert failure.value.kind == "lost"
        target.reconnect()
        assert lease.held()
        assert names_of(target) == []
        target.perform(job("CREATE TABLE t (i int)"), lease=lease)
