"""The lease on PostgreSQL: who has it, who gets it, and what whoever lost it can still do: nothing."""

from __future__ import annotations

import os
import signal
import threading
import time

import psycopg
import pytest

from bascule.databases.postgres.lease import PostgresLease
from bascule.databases.postgres.target import PostgresTarget
from bascule.domain.history import Holder
from bascule.errors import NeedsPerson
from bascule.ports.database import Limits, Meanwhile, TargetOptions, WorkFailed
from bascule.testing import PostgresServer
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
    wait_for,
)

SHORT = Limits(lease_ttl=1.0)


def test_it_is_renewed_for_as_long_as_it_is_held(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, limits=SHORT) as (_, lease), opened(bascule_postgres_url) as other:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            assert lease.held()
            assert isinstance(other.acquire(owner="other@here:2", run="run_2"), Holder)
            time.sleep(0.1)


def test_waiting_takes_one_connection_and_holding_two(bascule_postgres_url: str) -> None:
    def sessions() -> int:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int(rows(bascule_postgres_url, sql)[0][0])

    with leased(bascule_postgres_url) as (_, lease), opened(bascule_postgres_url) as waiting:
        assert isinstance(waiting.acquire(owner="other@here:2", run="run_2"), Holder)
        assert sessions() == 3
        lease.release()
        wait_for(lambda: sessions() == 2)


def test_of_many_at_once_one_gets_it(bascule_postgres_url: str) -> None:
    answers: list[PostgresLease | Holder] = []
    together = threading.Barrier(12)

    def take(target: PostgresTarget) -> None:
        target.describe()
        together.wait()
        answers.append(target.acquire(owner="one@here:1", run="run_1"))

    with opened(bascule_postgres_url) as first:
        first.prepare()
        targets = [PostgresTarget(bascule_postgres_url, TargetOptions()) for _ in range(12)]
        threads = [threading.Thread(target=take, args=(target,)) for target in targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for target in targets:
            target.close()
    assert len(answers) == 12
    assert sum(not isinstance(answer, Holder) for answer in answers) == 1


@pytest.mark.parametrize("script", ["SELECT pg_sleep(60)", "CREATE TABLE t AS SELECT 1 AS i FROM pg_sleep(60)"])
def test_of_a_process_killed_in_the_middle_of_its_message_it_is_taken_over_at_once(
    bascule_postgres_url: str, script: str
) -> None:
    process = child(
        bascule_postgres_url,
        f"""
        with leased(url) as (target, lease):
            say("leased")
            target.perform(job("CREATE TABLE half (i int)", {script!r}), lease=lease)
        """,
    )
    with process, opened(bascule_postgres_url) as target:
        assert line(process) == "leased"
        wait_for(lambda: rows(bascule_postgres_url, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
        process.kill()
        process.wait()
        begun = time.monotonic()
        lease = lease_of(target)
        assert time.monotonic() - begun < 10
        # Nobody gets it before that server process is gone.
        assert rows(bascule_postgres_url, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == []
        assert lease.taken_from is not None
        assert lease.taken_from.owner == "me@here:1"
        assert names_of(target) == []
        target.perform(job("CREATE TABLE half (i int)"), lease=lease)
        assert names_of(target) == ["m"]


def test_what_a_killed_process_could_still_commit_is_seen_by_the_next(bascule_postgres_url: str) -> None:
    # Not to be interrupted, so that the server process ends its message whole: the commit happens without its sender.
    process = child(
        bascule_postgres_url,
        """
        with leased(url) as (target, lease):
            unnoticed = "SELECT set_config('client_connection_check_interval', '0', true)"
            say("leased")
            target.perform(job(unnoticed, "SELECT pg_sleep(1.2)"), lease=lease)
        """,
    )
    with process, opened(bascule_postgres_url) as target:
        assert line(process) == "leased"
        wait_for(lambda: rows(bascule_postgres_url, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
        process.kill()
        process.wait()
        lease = lease_of(target)
        assert lease.taken_from is not None
        assert names_of(target) == ["m"]


def test_of_an_idle_process_that_was_killed_it_is_free_at_once(bascule_postgres_url: str) -> None:
    process = child(bascule_postgres_url, "with leased(url): say('leased'); time.sleep(60)")
    with process, opened(bascule_postgres_url) as target:
        assert line(process) == "leased"
        assert isinstance(target.acquire(owner="me@here:2", run="run_2"), Holder)
        process.kill()
        process.wait()
        wait_for(lambda: target.holder() is None)
        begun = time.monotonic()
        assert lease_of(target).taken_from is not None
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize("moment", ["between", "inside", "before a bare statement"])
def test_a_process_frozen_past_its_lease_can_commit_nothing_when_it_wakes(
    bascule_postgres_url: str, moment: str
) -> None:
    process = child(
        bascule_postgres_url,
        f"""
        def freeze(connection=None):
            if connection is not None:
                connection.execute("CREATE TABLE late (i int)")
            say("ready")
            sys.stdin.readline()

        with leased(url, limits=Limits(lease_ttl=1.0)) as (target, lease):
            try:
                if {moment!r} == "inside":
                    target.perform_with(job(), freeze, lease=lease)
                elif {moment!r} == "between":
                    freeze()
                    target.perform(job("CREATE TABLE late (i int)"), lease=lease)
                else:
                    rows(url, "CREATE TABLE t (i int)")
                    held = lease.keeper.held
                    # Frozen after the check, before the statement is sent.
                    lease.keeper.held = lambda: held() and (freeze() or True)
                    target.perform_bare(statement("CREATE INDEX CONCURRENTLY late ON t (i)"), lease=lease, run_id="r")
                say("committed")
            except WorkFailed as failure:
                say(failure.kind)
            say(lease.held())
        """,
    )
    with process, opened(bascule_postgres_url, limits=SHORT) as target:
        assert line(process) == "ready"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.2)
        lease = lease_of(target)
        assert lease.taken_from is not None
        target.perform(job("CREATE TABLE mine (i int)", name="mine"), lease=lease)
        process.send_signal(signal.SIGCONT)
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert line(process) in ("lost", "fence")
        assert line(process) == "False"
        assert names_of(target) == ["mine"]
        assert target.query("SELECT to_regclass('late')") == [(None,)]
        assert lease.held()


def test_the_fence_stands_against_a_takeover_in_the_middle_of_a_transaction(bascule_postgres_url: str) -> None:
    """Whoever takes over waits for the transaction, also where nobody could tell its server process."""
    with leased(bascule_postgres_url) as (target, lease):

        def takeover_now(connection: object) -> None:
            with psycopg.connect(bascule_postgres_url, autocommit=True) as other:
                other.execute("SET lock_timeout = '200ms'")
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute("UPDATE bascule.lease SET token = token + 1")
                # A heartbeat does not have to wait.
                other.execute("UPDATE bascule.lease SET expires_at = expires_at")

        target.perform_with(job(), takeover_now, lease=lease)
        rows(bascule_postgres_url, "UPDATE bascule.lease SET token = token + 1")
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("CREATE TABLE t (i int)", name="late"), lease=lease)
        assert failure.value.kind == "fence"
        assert names_of(target) == ["m"]


def test_a_statement_under_way_is_stopped_when_the_lease_is_lost(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, limits=SHORT) as (target, lease):
        rows(bascule_postgres_url, "CREATE TABLE t (i int)")
        thief = threading.Timer(0.3, rows, (bascule_postgres_url, "UPDATE bascule.lease SET token = token + 1"))
        thief.start()
        with pytest.raises(WorkFailed) as failure:
            target.perform_bare(statement("SELECT pg_sleep(60)"), lease=lease, run_id="r")
        thief.join()
        assert failure.value.kind == "fence"
        assert not lease.held()


def test_whoever_cannot_renew_stops_its_own_statement_in_time(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, limits=SHORT) as (target, lease):
        with psycopg.connect(bascule_postgres_url) as blocker:
            begun = time.monotonic()
            lock = threading.Timer(0.2, blocker.execute, ("LOCK TABLE bascule.lease",))
            lock.start()
            with pytest.raises(WorkFailed) as failure:
                target.perform_bare(statement("SELECT pg_sleep(60)"), lease=lease, run_id="r")
            lock.join()
        assert failure.value.kind == "fence"
        assert time.monotonic() - begun < 4


def test_it_survives_the_end_of_either_connection(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, limits=SHORT) as (target, lease):
        rows(bascule_postgres_url, "SELECT pg_terminate_backend(keeper_pid) FROM bascule.lease")
        time.sleep(1.2)
        assert lease.held()
        assert target.holder() is not None
        rows(bascule_postgres_url, "SELECT pg_terminate_backend(main_pid) FROM bascule.lease")
        time.sleep(1.2)
        assert lease.held()
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("SELECT 1"), lease=lease)
        assert failure.value.kind == "lost"
        target.reconnect()
        target.perform(job("SELECT 1"), lease=lease)
        with opened(bascule_postgres_url) as other:
            assert isinstance(other.acquire(owner="other@here:2", run="run_2"), Holder)


def test_one_given_up_with_work_under_way_is_not_free_before_that_is_gone(bascule_postgres_url: str) -> None:
    """The connection broke, and the process gave up instead of connecting again: its message may still be at work."""
    with opened(bascule_postgres_url) as target:
        lease = lease_of(target)
        session = target._connections.main()
        busy = "SELECT set_config('client_connection_check_interval', '0', false); SELECT pg_sleep(1.5)"
        session.connection.pgconn.send_query(busy.encode())
        session.connection.pgconn.flush()
        time.sleep(0.1)
        session.close()
        lease.release()
        with opened(bascule_postgres_url) as other:
            begun = time.monotonic()
            taken = lease_of(other)
            assert time.monotonic() - begun > 0.5
            assert taken.taken_from is not None
            assert rows(bascule_postgres_url, f"SELECT 1 FROM pg_stat_activity WHERE pid = {session.pid}") == []


def test_a_server_process_that_may_not_be_ended_needs_a_person(bascule_postgres_url: str) -> None:
    weak = f"weak_{os.getpid()}"
    rows(bascule_postgres_url, f"CREATE ROLE {weak} LOGIN")
    try:
        with opened(bascule_postgres_url) as strong:
            strong.prepare()
            for kind in ("TABLES", "SEQUENCES", "FUNCTIONS"):
                rows(bascule_postgres_url, f"GRANT ALL ON ALL {kind} IN SCHEMA bascule TO {weak}")
            rows(bascule_postgres_url, f"GRANT USAGE ON SCHEMA bascule TO {weak}")
            lease_of(strong)
            rows(bascule_postgres_url, "UPDATE bascule.lease SET expires_at = now() - interval '1 s'")
            # The strong one's thread would renew it.
            rows(bascule_postgres_url, "UPDATE bascule.lease SET token = token + 1, keeper_pid = NULL")
            as_weak = bascule_postgres_url.replace("postgres@", f"{weak}@")
            with opened(as_weak) as target, pytest.raises(NeedsPerson) as refused:
                target.acquire(owner="weak@here:2", run="run_2")
            assert f"pg_terminate_backend({strong._connections.main().pid})" in refused.value.hint
            assert refused.value.exit_code == 5
    finally:
        rows(bascule_postgres_url, f"DROP OWNED BY {weak}")
        rows(bascule_postgres_url, f"DROP ROLE {weak}")


def test_facts_go_over_the_second_connection_while_the_first_is_busy(bascule_postgres_url: str) -> None:
    from bascule.domain.history import Fact

    with leased(bascule_postgres_url) as (target, lease):
        written: list[int] = []

        def tell() -> None:
            target.append([Fact(kind="run_started", run_id="next_1", migration="next")])
            written.extend(row[0] for row in rows(bascule_postgres_url, "SELECT count(*) FROM bascule.journal"))

        meanwhile = Meanwhile(tell=tell, think=lambda: None)
        target.perform(job("SELECT pg_sleep(0.3)"), lease=lease, meanwhile=meanwhile)
        assert written == [1]


def test_whoever_loses_its_second_connection_is_not_taken_for_dead(bascule_postgres_url: str) -> None:
    """The next beat is seconds away when the connection ends, and somebody else is waiting."""
    with leased(bascule_postgres_url) as (target, lease), opened(bascule_postgres_url) as other:
        other.prepare()
        for _ in range(3):
            rows(bascule_postgres_url, "SELECT pg_terminate_backend(keeper_pid) FROM bascule.lease")
            assert isinstance(other.acquire(owner="other@here:2", run="run_2"), Holder)
            time.sleep(0.5)
        assert lease.held()
        target.perform(job("SELECT 1"), lease=lease)


def test_a_copy_of_a_database_does_not_end_the_work_in_its_original(
    bascule_postgres_server: PostgresServer, bascule_postgres_url: str
) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        copied = rows(bascule_postgres_url, "SELECT main_pid, main_start, keeper_pid, keeper_start FROM bascule.lease")[
            0
        ]
        with opened(bascule_postgres_server.create_database("copied")) as copy:
            lease_of(copy).release()
            pids = "main_pid = {}, main_start = '{}', keeper_pid = {}, keeper_start = '{}'".format(*copied)
            held = f"owner = 'me@here:1', {pids}, expires_at = now() + interval '1 min'"
            rows(bascule_postgres_server.url("copied"), f"UPDATE bascule.lease SET {held}")
            assert lease_of(copy).taken_from is not None
        target.perform(job("SELECT 1"), lease=lease)
    bascule_postgres_server.drop_database("copied")
