"""A job on PostgreSQL: one message, and every way it can end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from bascule.databases.postgres import message
from bascule.databases.postgres.awake import kept_awake
from bascule.domain.history import Fact
from bascule.domain.statement import Touch
from bascule.ports.database import Limits, Mark, Meanwhile, WorkFailed
from tests.integration.postgresql.target_builders import (
    job,
    leased,
    names_of,
    opened,
    rows,
    statement,
    touch,
    wait_for,
)


@pytest.fixture
def role(bascule_postgres_url: str) -> Iterator[str]:
    """One that owns Bascule's schema and is no administrator."""
    name = f"owner_{bascule_postgres_url.rsplit('_', 1)[-1]}"
    rows(bascule_postgres_url, f"CREATE ROLE {name} LOGIN")
    rows(bascule_postgres_url, f"CREATE SCHEMA bascule AUTHORIZATION {name}; GRANT CREATE ON SCHEMA public TO {name}")
    yield name
    rows(bascule_postgres_url, f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@pytest.mark.parametrize(
    ("texts", "index", "position"),
    [
        (("CREATE TABLE a (i int)", "SELECT * FROM nowhere"), 1, 14),
        (("SELECT 'ünï', nothing", "SELECT 1"), 0, 14),
        (("SELECT 'ü' -- ends in a comment", "SELECT 'ü', nothing"), 1, 12),
        # A syntax error is found before anything runs; a division by zero has no place in the text.
        (("SELECT 1", "SELECT 2", "SELEC 3"), 2, 0),
        (("SELECT 1", "SELECT 1/0", "SELECT 2"), 1, None),
        (("DO $$ BEGIN RAISE EXCEPTION 'no'; END $$",), 0, None),
    ],
)
def test_an_error_names_statement_and_place(
    bascule_postgres_url: str, texts: tuple[str, ...], index: int, position: int | None
) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        with pytest.raises(WorkFailed) as failure:
            target.perform(job(*texts, before=touch("a")), lease=lease)
        assert (failure.value.statement, failure.value.position) == (index, position)
        assert names_of(target) == []
        target.perform(job("CREATE TABLE a (i int)"), lease=lease)


def test_the_servers_detail_hint_and_context_are_kept(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        raises = "DO $$ BEGIN RAISE 'no' USING DETAIL = 'd', HINT = 'h', ERRCODE = 'ZZ999'; END $$"
        with pytest.raises(WorkFailed) as failure:
            target.perform(job(raises), lease=lease)
    failed = failure.value
    assert (failed.message, failed.detail, failed.server_hint, failed.sqlstate) == ("no", "d", "h", "ZZ999")
    assert "inline_code_block" in failed.context


@pytest.mark.parametrize(
    ("script", "what_it_did"),
    [
        ("DROP SCHEMA bascule CASCADE", "the script dropped or altered it"),
        ("DROP TABLE bascule.ledger", "the script dropped or altered it"),
        ("ALTER TABLE bascule.ledger DROP COLUMN version", "the script dropped or altered it"),
        ("SET TRANSACTION READ ONLY", "the script made its transaction read-only"),
        ("REVOKE ALL ON ALL TABLES IN SCHEMA bascule FROM me", "the script took them away"),
        ("REVOKE ALL ON SCHEMA bascule FROM me", "the script took them away"),
        ("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bascule FROM me", "the script took them away"),
    ],
)
def test_a_script_that_keeps_bascule_from_its_books_is_told_what_it_did_and_nothing_of_our_sql(
    bascule_postgres_url: str, role: str, script: str, what_it_did: str
) -> None:
    with leased(bascule_postgres_url.replace("postgres@", f"{role}@")) as (target, lease):
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("CREATE TABLE a (i int)", script.replace(" me", f" {role}")), lease=lease)
        failed = failure.value
        assert what_it_did in failed.message
        assert (failed.statement, failed.context) == (None, "")
        assert failed.hint
        assert "INSERT" not in f"{failed.detail}{failed.server_hint}{failed.hint}"
        assert names_of(target) == []
        assert target.query("SELECT to_regclass('a')") == [(None,)]


def test_an_error_that_shows_only_at_the_commit_undoes_everything(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        target.perform(job("CREATE TABLE a (i int UNIQUE DEFERRABLE INITIALLY DEFERRED)"), lease=lease)
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("INSERT INTO a VALUES (1), (1)", name="twice"), lease=lease)
        assert (failure.value.kind, failure.value.statement) == ("error", None)
        assert names_of(target) == ["m"]
        assert target.query("SELECT count(*) FROM a") == [(0,)]


def test_a_statement_with_a_nul_character_is_not_sent(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        with pytest.raises(WorkFailed, match="NUL") as failure:
            target.perform(job("SELECT 1", "SELECT 'a\0b'"), lease=lease)
        assert (failure.value.statement, failure.value.position) == (1, 9)


@pytest.mark.parametrize("text", ["COMMIT", "end", "ROLLBACK", "abort work", "/* x */ COMMIT AND CHAIN"])
def test_a_statement_that_would_end_the_transaction_is_not_sent(bascule_postgres_url: str, text: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        with pytest.raises(WorkFailed, match="would end the transaction") as failure:
            target.perform(job("CREATE TABLE a (i int)", text), lease=lease)
        assert failure.value.statement == 1
        target.perform(job("SAVEPOINT s", "CREATE TABLE b (i int)", "ROLLBACK TO SAVEPOINT s"), lease=lease)
        assert target.query("SELECT to_regclass('a'), to_regclass('b')") == [(None, None)]


def test_an_end_of_the_transaction_that_gets_through_is_noticed(
    bascule_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bascule.databases.postgres.performing.check_texts", lambda statements: None)
    with leased(bascule_postgres_url) as (target, lease):
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("CREATE TABLE a (i int)", "COMMIT", "CREATE TABLE b (i int)"), lease=lease)
        assert failure.value.sqlstate == "ZB002"
        assert "by itself" in failure.value.detail
        assert names_of(target) == []
        assert target.query("SELECT to_regclass('a') IS NOT NULL, to_regclass('b')") == [(True, None)]


def test_what_a_script_sets_does_not_reach_the_next(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        target.perform(
            job(
                "CREATE SCHEMA app",
                "SET search_path TO app",
                "SET work_mem = '7MB'",
                "SELECT set_config('lock_timeout', '0', false)",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                "SET TIME ZONE 'Asia/Tokyo'",
                "CREATE TEMPORARY TABLE passing (i int)",
                "PREPARE p AS SELECT 1",
                "LISTEN somebody",
                name="first",
            ),
            lease=lease,
        )
        target.perform(job("CREATE TABLE passing (i int)", name="second"), lease=lease)
        assert rows(bascule_postgres_url, "SELECT schemaname FROM pg_tables WHERE tablename = 'passing'") == [
            ("public",)
        ]
        settings = ("search_path", "work_mem", "default_transaction_read_only", "TimeZone")
        shown = ", ".join(f"current_setting('{name}')" for name in settings)
        leftovers = "(SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels())"
        fresh = rows(bascule_postgres_url, f"SELECT {shown}, {leftovers}")
        assert target.query(f"SELECT {shown}, {leftovers}") == fresh


def test_temporary_tables_live_as_long_as_their_script(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        step: dict[str, Any] = {"ledger": None, "name": "steps"}
        target.perform(job("CREATE TEMP TABLE t AS SELECT 1 AS i", mark=Mark(step=0, digest="d"), **step), lease=lease)
        target.perform(job("CREATE TABLE kept AS SELECT * FROM t", mark=Mark(step=1, digest="d"), **step), lease=lease)
        with pytest.raises(WorkFailed, match='"t" does not exist'):
            target.perform(job("SELECT * FROM t", name="another"), lease=lease)


def test_a_script_may_leave_as_a_role_without_rights(bascule_postgres_url: str) -> None:
    role = f"weak_{os.getpid()}"
    rows(bascule_postgres_url, f"CREATE ROLE {role}")
    try:
        with leased(bascule_postgres_url) as (target, lease):
            target.perform(job(f"SET ROLE {role}", "SELECT 1", name="plain"), lease=lease)
            target.perform(job(f"SET SESSION AUTHORIZATION {role}", name="session"), lease=lease)
            target.perform(job("SELECT 1", settings=(f"SET ROLE {role}",), name="replayed"), lease=lease)
            assert names_of(target) == ["plain", "session", "replayed"]
            assert target.query("SELECT current_user = session_user") == [(True,)]
    finally:
        rows(bascule_postgres_url, f"DROP ROLE {role}")


@pytest.mark.parametrize("taken", ["SET ROLE {role}", "SET SESSION AUTHORIZATION {role}"])
@pytest.mark.parametrize("back", ["RESET ALL", "RESET ROLE", "RESET SESSION AUTHORIZATION", "RESET ALL; "])
def test_a_role_without_rights_may_reset_what_it_likes(bascule_postgres_url: str, taken: str, back: str) -> None:
    role = f"weak_{os.getpid()}"
    rows(bascule_postgres_url, f"CREATE ROLE {role}")
    taken = taken.format(role=role)
    try:
        with leased(bascule_postgres_url, limits=Limits(lock_timeout=0.07)) as (target, lease):
            show = "SELECT 1 / (current_setting('lock_timeout') = '70ms')::int"
            target.perform(job(taken, back, "SELECT 1", "RESET ALL", show, name="plain"), lease=lease)
            target.perform(job(show, settings=(taken, "RESET ALL"), before=touch("t"), name="replayed"), lease=lease)
            assert names_of(target) == ["plain", "replayed"]
            assert target.query("SELECT current_user = session_user") == [(True,)]
            with pytest.raises(WorkFailed, match="nowhere") as failure:
                target.perform(job(taken, back, "SELECT * FROM nowhere", name="wrong"), lease=lease)
            assert (failure.value.statement, failure.value.position) == (2, 14)
    finally:
        rows(bascule_postgres_url, f"DROP ROLE {role}")


def test_strings_are_read_as_scripts_are_split_whatever_the_default(bascule_postgres_url: str) -> None:
    rows(
        bascule_postgres_url,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database()); "
        "END $$",
    )
    shows = "SELECT 1 / ('a\\' = chr(97) || chr(92))::int"
    with leased(bascule_postgres_url) as (target, lease):
        target.perform(job(shows, "RESET ALL", shows, "RESET standard_conforming_strings", shows), lease=lease)
        target.perform(job(shows, settings=("RESET ALL",), name="replayed"), lease=lease)
        target.perform(job(shows, name="after"), lease=lease)
        assert names_of(target) == ["m", "replayed", "after"]


def test_settings_made_earlier_in_the_script_hold_for_a_step(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        target.perform(job("CREATE SCHEMA app"), lease=lease)
        target.perform(
            job("CREATE TABLE t (i int)", settings=("SET search_path TO app -- where it belongs",), name="s"),
            lease=lease,
        )
        assert target.query("SELECT to_regclass('app.t') IS NOT NULL") == [(True,)]


def test_a_script_that_resets_all_settings_keeps_its_fence_and_limits(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, limits=Limits(lock_timeout=0.07)) as (target, lease):
        show = "CREATE TABLE shown AS SELECT current_setting('lock_timeout') AS l"
        target.perform(job("RESET ALL", show), lease=lease)
        assert target.query("SELECT l FROM shown") == [("70ms",)]


def test_an_isolation_level_may_stand_first(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        show = "CREATE TABLE shown AS SELECT current_setting('transaction_isolation') AS l"
        done = target.perform(
            job("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", show, before=touch("shown")), lease=lease
        )
        assert target.query("SELECT l FROM shown") == [("serializable",)]
        assert len(done.rows) == 2


def test_a_script_that_changes_how_strings_are_read_is_read_so(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        done = target.perform(
            job(
                "SET standard_conforming_strings = off",
                "SET escape_string_warning = off",
                r"CREATE TABLE shown AS SELECT 'it\'s' AS t",
                "SET client_encoding = 'LATIN1'",
                "INSERT INTO shown VALUES ('ü')",
            ),
            lease=lease,
        )
        assert target.query("SELECT t FROM shown ORDER BY t") == [("it's",), ("ü",)]
        assert done.rows == (-1, -1, 1, -1, 1)
        assert names_of(target) == ["m"]
        assert target.query(r"SELECT 'a\b'") == [("a\\b",)]


def test_rows_of_a_copy_statement_are_sent(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        wide = "".join(f"{n}\t{'ü' * 50}\n" for n in range(40_000))
        done = target.perform(
            job(
                "CREATE TABLE t (i int, w text)",
                statement("COPY t FROM stdin", 1, copy_data="1\tone\n2\t\\N\n"),
                "DELETE FROM t WHERE i = 1",
                statement("COPY t (i, w) FROM stdin", 3, copy_data=wide),
                "COPY t TO STDOUT",
            ),
            lease=lease,
        )
        assert done.rows == (-1, 2, 1, 40_000, 40_001)
        assert target.query("SELECT count(*), count(w) FROM t") == [(40_001, 40_000)]


def test_a_bad_row_in_copy_data_fails_that_statement(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        with pytest.raises(WorkFailed) as failure:
            target.perform(
                job("CREATE TABLE t (i int)", statement("COPY t FROM stdin", 1, copy_data="1\nx\n"), "SELECT 1"),
                lease=lease,
            )
        assert failure.value.statement == 1
        assert "line 2" in failure.value.context
        with pytest.raises(WorkFailed, match="no rows") as failure:
            target.perform(job("CREATE TABLE t (i int)", "COPY t FROM stdin"), lease=lease)
        assert failure.value.statement == 1
        assert names_of(target) == []


def test_what_is_too_large_for_one_message_goes_in_pieces(
    bascule_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message, "LARGEST", 100)
    with leased(bascule_postgres_url) as (target, lease):
        texts = (
            "CREATE TABLE t (i int)",
            "INSERT INTO t SELECT generate_series(1, 10) -- " + "x" * 100,
            "SELECT 1 FROM t",
        )
        assert target.perform(job(*texts, name="good"), lease=lease).rows == (-1, 10, 10)
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("CREATE TABLE u (i int)", f"SELECT nothing -- {'x' * 100}", name="bad"), lease=lease)
        assert (failure.value.statement, failure.value.position) == (1, 7)
        assert names_of(target) == ["good"]
        assert target.query("SELECT to_regclass('u')") == [(None,)]


def test_who_holds_the_lock_is_named_even_where_nobody_could_look(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, limits=Limits(lock_timeout=0.001)) as (target, lease):
        target.perform(job("CREATE TABLE t (i int)"), lease=lease)
        with psycopg.connect(bascule_postgres_url, application_name="the app") as blocker:
            pid = blocker.info.backend_pid
            blocker.execute("SELECT * FROM t")
            with pytest.raises(WorkFailed) as failure:
                target.perform(job("ALTER TABLE t ADD j int", name="b", before=touch("t")), lease=lease)
        assert failure.value.kind == "lock_timeout"
        (words,) = failure.value.blockers
        assert f"pid {pid} " in words
        assert "the app" in words
        assert "idle in transaction" in words
        assert "SELECT * FROM t" in words


def test_a_wait_that_the_script_itself_made_endless_is_ended(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, limits=Limits(lock_retry=0.3)) as (target, lease):
        target.perform(job("CREATE TABLE t (i int)"), lease=lease)
        with psycopg.connect(bascule_postgres_url) as blocker:
            blocker.execute("SELECT * FROM t")
            with pytest.raises(WorkFailed) as failure:
                target.perform(job("SET lock_timeout = 0", "ALTER TABLE t ADD j int", name="b"), lease=lease)
        assert (failure.value.kind, failure.value.statement) == ("lock_timeout", 1)
        assert failure.value.blockers


def test_a_statement_that_takes_too_long_is_ended_where_a_limit_is_set(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, limits=Limits(statement_timeout=0.1)) as (target, lease):
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("SELECT pg_sleep(30)"), lease=lease)
        assert (failure.value.kind, failure.value.statement) == ("timeout", 0)


def test_a_deadlock_is_told_from_other_errors(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, limits=Limits(lock_timeout=20)) as (target, lease):
        target.perform(job("CREATE TABLE a (i int)", "CREATE TABLE b (i int)"), lease=lease)
        with psycopg.connect(bascule_postgres_url) as other:
            other.execute("SET deadlock_timeout = '10s'")
            other.execute("LOCK TABLE b")

            def lock_a() -> None:
                wait_for(lambda: rows(bascule_postgres_url, "SELECT 1 FROM pg_locks WHERE NOT granted"))
                other.execute("LOCK TABLE a")

            thread = threading.Thread(target=lock_a)
            thread.start()
            with pytest.raises(WorkFailed) as failure:
                target.perform(job("LOCK TABLE a", "LOCK TABLE b", name="c"), lease=lease)
            thread.join()
        assert failure.value.kind == "deadlock"


def test_ctrl_c_stops_the_statement_and_undoes_the_job(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(WorkFailed) as failure:
            target.perform(job("CREATE TABLE t (i int)", "SELECT pg_sleep(30)"), lease=lease)
        timer.join()
        assert time.monotonic() - begun < 10
        assert failure.value.kind == "cancelled"
        assert isinstance(failure.value.__context__, KeyboardInterrupt)
        assert names_of(target) == []
        target.perform(job("CREATE TABLE t (i int)"), lease=lease)


def test_ctrl_c_during_the_authors_function_comes_out_as_it_is(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            target.perform_with(job(), lambda connection: connection.execute("SELECT pg_sleep(30)"), lease=lease)
        timer.join()
        assert names_of(target) == []


def test_what_meanwhile_raises_undoes_the_job_and_comes_out(bascule_postgres_url: str) -> None:
    def trouble() -> None:
        raise LookupError("meanwhile")

    meanwhile = Meanwhile(tell=list, think=trouble)
    with leased(bascule_postgres_url) as (target, lease):
        with pytest.raises(LookupError):
            target.perform(job("CREATE TABLE t (i int)", "SELECT pg_sleep(30)"), lease=lease, meanwhile=meanwhile)
        assert names_of(target) == []
        target.perform(job("CREATE TABLE t (i int)"), lease=lease)


def test_remarks_of_the_server_are_handed_on(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        done = target.perform(job("DO $$ BEGIN RAISE WARNING 'careful'; END $$"), lease=lease)
        assert done.notices == ("WARNING: careful",)
        assert target.perform(job("SELECT 1", name="n"), lease=lease).notices == ()


def test_progress_of_a_long_statement_is_told(bascule_postgres_url: str) -> None:
    told: list[Any] = []
    with leased(bascule_postgres_url) as (target, lease):
        target.perform(job("SELECT pg_sleep(0.7)"), lease=lease, watch=told.append)
        count = len(told)
        assert count > 0
        assert {each.phase for each in told} == {"running"}
        time.sleep(0.3)
        assert len(told) == count


def test_a_listener_that_fails_does_not_end_the_work(bascule_postgres_url: str) -> None:
    calls: list[int] = []

    def bad(progress: Any) -> None:
        calls.append(1)
        raise LookupError(progress)

    with leased(bascule_postgres_url) as (target, lease):
        target.perform(job("SELECT pg_sleep(0.7)"), lease=lease, watch=bad)
        assert calls == [1]
        assert lease.held()


def test_the_look_of_before_is_taken_where_the_script_will_look(bascule_postgres_url: str) -> None:
    with leased(bascule_postgres_url, search_path="app, public") as (target, lease):
        target.perform(job("CREATE SCHEMA app", "CREATE TABLE app.t (i int)"), lease=lease)
        target.perform(job("ALTER TABLE t ADD j int", name="widen", before=touch("t")), lease=lease)
        before = target.before("widen")
        assert before is not None
        assert list(before.objects) == ["table app.t"]
        assert target.snapshot(touch("t")).objects["table app.t"] != before.objects["table app.t"]


def test_a_snapshot_of_everything_is_whole(bascule_postgres_url: str) -> None:
    with opened(bascule_postgres_url) as target:
        rows(bascule_postgres_url, "CREATE TABLE t (i int)")
        unprepared = target.snapshot(Touch(everything=True))
        target.prepare()
        prepared = target.snapshot(Touch(everything=True))
    assert unprepared.whole
    assert "table public.t" in unprepared.objects
    assert prepared == unprepared


def test_facts_may_hold_what_json_or_the_server_cannot(bascule_postgres_url: str) -> None:
    odd = {"nul": "a\0b", "escaped": "\\u0000", "lone": "\ud800", "quote": "it's \\"}
    with opened(bascule_postgres_url) as target:
        target.append([Fact(kind="step_failed", run_id="r", migration="m", data=odd)])
        (fact,) = target.journal()
    assert fact.data == {"nul": "a\ufffdb", "escaped": "\\u0000", "lone": "?", "quote": "it's \\"}


def test_the_commit_is_known_when_the_connection_breaks_right_after_it(
    bascule_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with leased(bascule_postgres_url) as (target, lease):
        session = target._connections.main()
        session.tail = (*session.tail, "SELECT pg_terminate_backend(pg_backend_pid());")
        target.perform(job("CREATE TABLE t (i int)"), lease=lease)
        assert names_of(target) == ["m"]
        target.perform(job("CREATE TABLE u (i int)", name="next"), lease=lease)


def test_a_function_may_compute_for_longer_than_a_transaction_may_be_idle(bascule_postgres_url: str) -> None:
    def work(connection: psycopg.Connection) -> None:
        connection.execute("CREATE TABLE a (i int)")
        time.sleep(1.7)
        connection.execute("INSERT INTO a VALUES (1)")

    with leased(bascule_postgres_url, limits=Limits(idle_timeout=1.0)) as (target, lease):
        target.perform_with(job(), work, lease=lease)
        assert (names_of(target), target.query("SELECT i FROM a")) == (["m"], [(1,)])


def test_without_the_lease_an_idle_transaction_is_ended_as_before(
    bascule_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(connection: psycopg.Connection) -> None:
        connection.execute("CREATE TABLE a (i int)")
        given_up.append(True)
        time.sleep(1.7)
        connection.execute("INSERT INTO a VALUES (1)")

    given_up: list[bool] = []
    with leased(bascule_postgres_url, limits=Limits(idle_timeout=1.0)) as (target, lease):
        monkeypatch.setattr(lease.keeper, "held", lambda: not given_up)
        with pytest.raises(WorkFailed) as failure:
            target.perform_with(job(), work, lease=lease)
        assert failure.value.kind == "lost"


def test_what_an_author_does_with_the_connection_is_not_disturbed_by_keeping_it_awake(
    bascule_postgres_url: str,
) -> None:
    def work(connection: psycopg.Connection) -> None:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE a (i int)")
        with cursor.copy("COPY a FROM STDIN") as copy:
            for number in range(3):
                copy.write_row((number,))
                time.sleep(0.02)
        for _ in cursor.stream("SELECT i FROM a"):
            time.sleep(0.02)
        with connection.pipeline():
            cursor.execute("INSERT INTO a VALUES (3)")
            time.sleep(0.02)

    def often(connection: psycopg.Connection) -> None:
        kept_awake(work, every=0.001, held=lambda: True)(connection)

    with leased(bascule_postgres_url) as (target, lease):
        target.perform_with(job(), often, lease=lease)
        assert target.query("SELECT count(*) FROM a") == [(4,)]
