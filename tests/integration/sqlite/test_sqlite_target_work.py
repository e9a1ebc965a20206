"""Transactions and bare statements on SQLite: what goes through, what is undone, and how failures are told."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bascule.databases.sqlite.session import ends_transaction
from bascule.databases.sqlite.target import SqliteTarget
from bascule.domain.statement import Effect, ObjectName, Touch
from bascule.ports.database import Lease, Limits, Progress, TargetOptions, WorkFailed
from tests.conformance.database import (
    CREATE,
    ENDLESS,
    applied,
    job,
    lease_of,
    start_child,
    statements,
    tables_named,
)

LONG = (
    "SELECT count(*) FROM "
    "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def open_target(path: Path) -> Iterator[Callable[..., SqliteTarget]]:
    opened: list[SqliteTarget] = []

    def open_one(limits: Limits | None = None, query: str = "") -> SqliteTarget:
        opened.append(SqliteTarget(f"sqlite:///{path}{query}", TargetOptions(limits=limits or Limits())))
        return opened[-1]

    yield open_one
    for target in opened:
        target.close()


Open = Callable[..., SqliteTarget]


@pytest.fixture
def target(open_target: Open) -> SqliteTarget:
    made = open_target()
    made.prepare()
    return made


@pytest.fixture
def lease(target: SqliteTarget) -> Lease:
    return lease_of(target)


def failing(act: Callable[[], object]) -> WorkFailed:
    """The failure of the act."""
    with pytest.raises(WorkFailed) as failure:
        act()
    return failure.value


def bare(target: SqliteTarget, text: str, lease: Lease, *settings: str) -> None:
    """Run one statement outside a transaction."""
    (statement,) = statements(text)
    target.perform_bare(statement, settings=settings, lease=lease, run_id="create_thing_1")


def pragma(target: SqliteTarget, name: str) -> Any:
    """The value on the target's own connection."""
    return target.query(f"PRAGMA {name}")[0][0]


# Transactions


@pytest.mark.parametrize(
    "text",
    ["COMMIT", "end transaction", "ROLLBACK", "BEGIN", "begin exclusive", "; COMMIT", "/* c */ -- d\n Commit"],
)
def test_a_statement_that_would_end_the_transaction_is_not_sent(target: SqliteTarget, lease: Lease, text: str) -> None:
    failure = failing(lambda: target.perform(applied(CREATE, text), lease=lease))
    assert failure.kind == "error"
    assert failure.statement == 1
    assert tables_named(target, "thing") == 0
    assert failing(lambda: bare(target, text, lease)).kind == "error"
    assert list(target.ledger()) == []


def test_savepoints_are_the_scripts_own(target: SqliteTarget, lease: Lease) -> None:
    texts = (
        CREATE,
        "SAVEPOINT here",
        "INSERT INTO thing VALUES (1, 'a')",
        "ROLLBACK TO here",
        "ROLLBACK TRANSACTION TO SAVEPOINT here",
        "INSERT INTO thing VALUES (2, 'b')",
        "RELEASE here",
    )
    target.perform(applied(*texts), lease=lease)
    assert target.query("SELECT id FROM thing") == [(2,)]


def test_a_word_that_only_begins_like_one_ends_nothing() -> None:
    assert not ends_transaction("SELECT 'COMMIT'")
    assert not ends_transaction("-- COMMIT\nSELECT 1")
    assert not ends_transaction("/* COMMIT")
    assert not ends_transaction("endless")
    assert not ends_transaction("/* a */" * 5000 + "SELECT 1")
    assert ends_transaction("/* a */" * 5000 + "END")


def test_a_script_that_rolls_back_by_itself_leaves_nothing(target: SqliteTarget, lease: Lease) -> None:
    target.perform(job("CREATE TABLE one (id UNIQUE)", "INSERT INTO one VALUES (1)"), lease=lease)
    failure = failing(lambda: target.perform(applied(CREATE, "INSERT OR ROLLBACK INTO one VALUES (1)"), lease=lease))
    assert failure.kind == "error"
    assert failure.sqlstate == "SQLITE_CONSTRAINT_UNIQUE"
    assert tables_named(target, "thing") == 0
    assert list(target.ledger()) == []


def test_rows_are_counted_where_sqlite_counts(target: SqliteTarget, lease: Lease) -> None:
    done = target.perform(
        applied(
            CREATE,
            "INSERT INTO thing VALUES (1, 'a'), (2, 'b'), (3, 'c')",
            "INSERT INTO thing VALUES (4, 'd') RETURNING id",
            "SELECT * FROM thing",
            "SELECT CAST(x'ff' AS text)",
            "DELETE FROM thing WHERE id > 2",
        ),
        lease=lease,
    )
    assert done.rows == (-1, 3, 1, -1, -1, 2)


def test_a_trigger_is_one_statement(target: SqliteTarget, lease: Lease) -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON thing BEGIN UPDATE thing SET note = 'x'; SELECT 1; END"
    target.perform(applied(CREATE, trigger), lease=lease)
    assert tables_named(target, "t") == 1


@pytest.mark.parametrize(
    ("text", "words", "position"),
    [
        ("SELEC 1", 'near "SELEC": syntax error', 0),
        ("CREATE TABLE a (id,)", 'near ")": syntax error', 19),
        ("SELECT a a a FROM a", 'near "a": syntax error', None),
        ("SELECT 1; SELECT 2", "one statement at a time", None),
        ("SELECT missing", "no such column: missing", None),
        ("SELECT '\ud800'", "surrogates not allowed", None),
        ("SELECT '\0'", "null character", None),
        ("SELECT ?", "bindings", None),
    ],
)
def test_what_sqlite_refuses_is_told_in_its_words(
    target: SqliteTarget, lease: Lease, text: str, words: str, position: int | None
) -> None:
    failure = failing(lambda: target.perform(applied(CREATE, text), lease=lease))
    assert failure.kind == "error"
    assert failure.statement == 1
    assert words in failure.message
    assert failure.position == position
    assert failure.__cause__ is not None
    assert tables_named(target, "thing") == 0


def test_a_placeholder_is_explained(target: SqliteTarget, lease: Lease) -> None:
    failure = failing(lambda: target.perform(applied("SELECT :name"), lease=lease))
    assert "placeholder" in failure.hint


def test_rows_that_break_a_deferred_foreign_key_are_named(open_target: Open) -> None:
    target = open_target(query="?foreign_keys=1")
    lease = lease_of(target)
    target.perform(
        job(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
            "CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
        ),
        lease=lease,
    )
    failure = failing(lambda: target.perform(applied("INSERT INTO child VALUES (7)"), lease=lease))
    assert failure.kind == "error"
    assert failure.statement is None
    assert "FOREIGN KEY" in failure.message
    assert failure.detail == "row 1 of child points to no row of parent"
    assert "foreign_key_check" in failure.hint
    assert target.query("SELECT count(*) FROM child") == [(0,)]


def test_the_ledger_dropped_by_a_script_is_not_lost(target: SqliteTarget, lease: Lease) -> None:
    target.perform(applied(CREATE), lease=lease)
    failing(lambda: target.perform(applied("DROP TABLE bascule_ledger", name="evil"), lease=lease))
    assert [row.name for row in target.ledger()] == ["create_thing"]


def test_a_script_that_drops_the_fence_locks_itself_out(target: SqliteTarget, lease: Lease) -> None:
    target.perform(job("DROP TABLE bascule_meta"), lease=lease)
    failure = failing(lambda: target.perform(applied(CREATE), lease=lease))
    assert failure.kind == "fence"
    assert "tables are gone" in failure.message


# Settings of a script


def test_settings_hold_inside_the_transaction_and_not_after_it(target: SqliteTarget, lease: Lease) -> None:
    by_default = pragma(target, "foreign_keys")
    asked = "ON" if by_default == 0 else "OFF"
    target.perform(
        applied(
            "CREATE TABLE seen AS SELECT (SELECT foreign_keys FROM pragma_foreign_keys) AS keys, "
            "(SELECT recursive_triggers FROM pragma_recursive_triggers) AS triggers",
            settings=(f"PRAGMA foreign_keys = {asked}", "PRAGMA recursive_triggers(1)"),
        ),
        lease=lease,
    )
    assert target.query("SELECT keys, triggers FROM seen") == [(1 - by_default, 1)]
    assert pragma(target, "foreign_keys") == by_default
    assert pragma(target, "recursive_triggers") == 0


def test_a_table_is_rebuilt_under_foreign_keys_that_were_turned_off(open_target: Open) -> None:
    target = open_target(query="?foreign_keys=1")
    lease = lease_of(target)
    target.perform(
        job(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
            "CREATE TABLE child (parent REFERENCES parent ON DELETE CASCADE)",
            "INSERT INTO parent VALUES (1)",
            "INSERT INTO child VALUES (1)",
        ),
        lease=lease,
    )
    rebuild = (
        "CREATE TABLE parent_new (id INTEGER PRIMARY KEY, name TEXT)",
        "INSERT INTO parent_new (id) SELECT id FROM parent",
        "DROP TABLE parent",
        "ALTER TABLE parent_new RENAME TO parent",
    )
    target.perform(applied(*rebuild, settings=("PRAGMA foreign_keys = OFF",)), lease=lease)
    assert target.query("SELECT count(*) FROM child") == [(1,)]
    assert pragma(target, "foreign_keys") == 1


def test_what_a_transaction_sets_by_itself_ends_with_it(target: SqliteTarget, lease: Lease) -> None:
    target.perform(applied("PRAGMA legacy_alter_table = ON", "PRAGMA case_sensitive_like = 1", CREATE), lease=lease)
    assert pragma(target, "legacy_alter_table") == 0
    assert target.query("SELECT 'a' LIKE 'A'") == [(1,)]
    failing(lambda: target.perform(job("PRAGMA query_only = 1", "SELECT nothing"), lease=lease))
    target.perform(job("INSERT INTO thing VALUES (1, 'a')"), lease=lease)


def test_what_is_stored_in_the_file_stays(target: SqliteTarget, lease: Lease) -> None:
    target.perform(applied("PRAGMA user_version = 7", "PRAGMA application_id = 9"), lease=lease)
    assert (pragma(target, "user_version"), pragma(target, "application_id")) == (7, 9)
    bare(target, "PRAGMA journal_mode = WAL", lease)
    assert pragma(target, "journal_mode") == "wal"
    target.perform(applied(CREATE), lease=lease)
    assert tables_named(target, "thing") == 1
    bare(target, "PRAGMA journal_mode = DELETE", lease)
    assert pragma(target, "journal_mode") == "delete"


def test_a_bare_pragma_sets_nothing_for_the_next_migration(target: SqliteTarget, lease: Lease) -> None:
    target.perform(applied(CREATE), lease=lease)
    before = [pragma(target, name) for name in ("foreign_keys", "synchronous", "journal_mode", "locking_mode")]
    bare(target, "PRAGMA foreign_keys = ON", lease)
    bare(target, "PRAGMA foreign_keys = OFF", lease)
    bare(target, "PRAGMA synchronous = OFF", lease)
    bare(target, "PRAGMA journal_mode = MEMORY", lease)
    bare(target, "PRAGMA locking_mode = EXCLUSIVE", lease)
    assert [pragma(target, name) for name in ("foreign_keys", "synchronous", "journal_mode", "locking_mode")] == before
    with closing(sqlite3.connect(target.describe().location.removeprefix("sqlite:///"), timeout=0)) as other:
        other.execute("CREATE TABLE free_for_all (id)")


@pytest.mark.parametrize("mode", ["MEMORY", "OFF"])
def test_a_journal_that_a_kill_would_turn_into_damage_is_refused(target: SqliteTarget, lease: Lease, mode: str) -> None:
    failure = failing(lambda: target.perform(applied(CREATE, settings=(f"PRAGMA journal_mode = {mode}",)), lease=lease))
    assert "damaged file" in failure.message
    assert pragma(target, "journal_mode") == "persist"
    assert list(target.ledger()) == []


def test_the_journal_s_file_stays_for_the_run_and_goes_with_it(target: SqliteTarget, lease: Lease) -> None:
    database = Path(target.describe().location.removeprefix("sqlite:///"))
    journal = database.with_name(f"{database.name}-journal")
    target.perform(applied(CREATE), lease=lease)
    assert journal.exists()
    with closing(sqlite3.connect(database, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO thing VALUES (1, 'a')")
        target.close()
        other.execute("COMMIT")
        assert other.execute("SELECT count(*) FROM thing").fetchone() == (1,)
    assert not journal.exists()


def test_an_attached_database_is_there_for_the_script_and_no_longer(
    target: SqliteTarget, lease: Lease, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db")) as old, old:
        old.execute("CREATE TABLE source (note)")
        old.execute("INSERT INTO source VALUES ('from there')")
    attach = f"ATTACH DATABASE '{tmp_path / 'old.db'}' AS \"the old one\""
    bare(target, attach, lease)
    take = 'INSERT INTO thing (note) SELECT note FROM "the old one".source'
    target.perform(applied(CREATE, take, settings=(attach,)), lease=lease)
    bare(target, 'DETACH "the old one"', lease, attach)
    assert target.query("SELECT note FROM thing") == [("from there",)]
    assert [row[1] for row in target.query("PRAGMA database_list")] == ["main"]


def test_a_setting_that_fails_changes_nothing(target: SqliteTarget, lease: Lease, tmp_path: Path) -> None:
    failure = failing(
        lambda: target.perform(applied(CREATE, settings=(f"ATTACH '{tmp_path}/no/x.db' AS x",)), lease=lease)
    )
    assert failure.kind == "error"
    assert failure.statement is None
    assert list(target.ledger()) == []


def test_temporary_tables_stay_for_the_next_step(target: SqliteTarget, lease: Lease) -> None:
    target.perform(job("CREATE TEMP TABLE scratch AS SELECT 1 AS id"), lease=lease)
    target.perform(applied("CREATE TABLE kept AS SELECT id FROM scratch"), lease=lease)
    assert target.query("SELECT id FROM kept") == [(1,)]


def test_a_temporary_table_cannot_stand_in_for_bascules_own(target: SqliteTarget, lease: Lease) -> None:
    target.perform(job("CREATE TEMP TABLE bascule_ledger (name)", "CREATE TEMP TABLE bascule_meta (key)"), lease=lease)
    target.perform(applied(CREATE), lease=lease)
    assert [row.name for row in target.ledger()] == ["create_thing"]


# Bare statements


def test_vacuum_runs_and_into_a_file_too(target: SqliteTarget, lease: Lease, tmp_path: Path) -> None:
    target.perform(applied(CREATE), lease=lease)
    bare(target, "VACUUM", lease)
    bare(target, f"VACUUM INTO '{tmp_path / 'copy.db'}'", lease)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM thing").fetchone() == (0,)


def test_a_bare_statement_waits_for_others_and_says_for_whom(target: SqliteTarget, lease: Lease, path: Path) -> None:
    seen: list[Progress] = []
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.4, other.execute, args=("ROLLBACK",))
        timer.start()
        (vacuum,) = statements("VACUUM")
        target.perform_bare(vacuum, lease=lease, run_id="create_thing_1", watch=seen.append)
        timer.join()
    assert {each.phase for each in seen} == {"waiting for a lock"}
    assert f"this same process (pid {os.getpid()})" in seen[0].waiting_for[0]


def test_a_bare_statement_gives_up_in_time(open_target: Open, path: Path) -> None:
    target = open_target(Limits(bare_lock_wait=0.2))
    lease = lease_of(target)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        failure = failing(lambda: bare(target, "VACUUM", lease))
    assert failure.kind == "lock_timeout"


def test_sqlite_leaves_nothing_to_look_for_or_repair(target: SqliteTarget, lease: Lease) -> None:
    assert target.observe(Effect(action="create_index", name="i")).state == "undecidable"
    assert target.repair(Effect(action="harmless"), lease=lease)


# Locks


def test_the_process_that_holds_the_lock_is_named(target: SqliteTarget, lease: Lease, path: Path) -> None:
    script = f"""
    import sqlite3
    connection = sqlite3.connect({str(path)!r}, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    print("at work", flush=True)
    input()
    """
    with start_child("", script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "at work\n"
        failure = failing(lambda: target.perform(applied(CREATE), lease=lease))
        child.communicate("go on\n")
    assert failure.kind == "lock_timeout"
    assert failure.blockers[0].startswith(f"pid {child.pid} (python")
    assert "BEGIN IMMEDIATE" not in failure.blockers[0]


def test_the_writer_is_named_in_wal_mode_too(target: SqliteTarget, lease: Lease, path: Path) -> None:
    bare(target, "PRAGMA journal_mode = WAL", lease)
    script = f"""
    import sqlite3
    reader = sqlite3.connect({str(path)!r}, isolation_level=None)
    reader.execute("BEGIN").execute("SELECT * FROM sqlite_master").fetchall()
    writer = sqlite3.connect({str(path)!r}, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    print("at work", flush=True)
    input()
    """
    with start_child("", script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "at work\n"
        failure = failing(lambda: target.perform(applied(CREATE), lease=lease))
        child.communicate("go on\n")
    assert failure.kind == "lock_timeout"
    assert [words.split(" ")[1] for words in failure.blockers] == [str(child.pid)]


def test_a_reader_that_holds_up_the_commit_is_waited_for_then_named_and_nothing_remains(
    target: SqliteTarget, lease: Lease, path: Path
) -> None:
    script = f"""
    import sqlite3
    connection = sqlite3.connect({str(path)!r}, isolation_level=None)
    connection.execute("BEGIN").execute("SELECT * FROM sqlite_master").fetchall()
    print("reading", flush=True)
    input()
    """
    with start_child("", script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "reading\n"
        failure = failing(lambda: target.perform(applied(CREATE), lease=lease))
        assert failure.kind == "lock_timeout"
        assert failure.blockers[0].startswith(f"pid {child.pid} ")
        assert list(target.ledger()) == []
        assert tables_named(target, "thing") == 0
        child.communicate("go on\n")
    target.perform(applied(CREATE), lease=lease)


def test_long_work_is_not_thrown_away_for_a_short_reader(target: SqliteTarget, lease: Lease, path: Path) -> None:
    target.perform(job(CREATE), lease=lease)
    reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    timer = threading.Timer(0.3, reader.close)
    timer.start()
    begun = time.monotonic()

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO thing VALUES (1, 'a')")
        reader.execute("BEGIN").execute("SELECT * FROM sqlite_master").fetchall()
        time.sleep(max(0.0, begun + 0.2 - time.monotonic()))

    target.perform_with(applied(), work, lease=lease)
    timer.join()
    assert target.query("SELECT count(*) FROM thing") == [(1,)]


# Stopping


def test_a_statement_is_ended_when_its_time_is_over(open_target: Open) -> None:
    target = open_target(Limits(statement_timeout=0.2))
    lease = lease_of(target)
    failure = failing(lambda: target.perform(applied(CREATE, ENDLESS), lease=lease))
    assert failure.kind == "timeout"
    assert failure.statement == 1
    assert "0.2 s" in failure.message
    failure = failing(lambda: target.perform_with(applied(), lambda c: c.execute(ENDLESS), lease=lease))
    assert failure.kind == "timeout"
    assert tables_named(target, "thing") == 0
    target.perform(applied(CREATE), lease=lease)


def test_the_time_limit_is_for_each_statement_not_for_all(open_target: Open) -> None:
    target = open_target(Limits(statement_timeout=3.0))
    lease = lease_of(target)
    target.perform(applied(*[LONG.format(100_000)] * 3), lease=lease)


def interrupted_in(seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, os.kill, args=(os.getpid(), signal.SIGINT))
    timer.start()
    return timer


@pytest.mark.parametrize("attempt", range(5))
def test_control_c_ends_a_long_statement_and_undoes_it(target: SqliteTarget, lease: Lease, attempt: int) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = interrupted_in(0.1 + attempt / 1000)
    begun = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            target.perform(applied(CREATE, ENDLESS), lease=lease)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - begun < 5
    assert tables_named(target, "thing") == 0
    target.perform(applied(CREATE), lease=lease)


def test_a_signal_handler_may_cancel_and_go_on(target: SqliteTarget, lease: Lease) -> None:
    before = signal.signal(signal.SIGINT, lambda *_: target.cancel())
    timer = interrupted_in(0.1)
    try:
        failure = failing(lambda: target.perform(applied(CREATE, ENDLESS), lease=lease))
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert failure.kind == "cancelled"
    assert tables_named(target, "thing") == 0


def test_work_that_swallows_the_interruption_is_undone_all_the_same(target: SqliteTarget, lease: Lease) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute(CREATE)
        target.cancel()
        try:
            connection.execute(ENDLESS)
        except sqlite3.OperationalError:
            connection.execute("INSERT INTO thing VALUES (1, 'went on')")

    assert failing(lambda: target.perform_with(applied(), work, lease=lease)).kind == "cancelled"
    assert tables_named(target, "thing") == 0


def test_who_watches_hears_of_a_long_statement(target: SqliteTarget, lease: Lease) -> None:
    seen: list[Progress] = []
    target.perform(applied(LONG.format(6_000_000)), lease=lease, watch=seen.append)
    assert {each.phase for each in seen} == {"running"}


def test_what_the_watcher_raises_ends_the_work(target: SqliteTarget, lease: Lease) -> None:
    def watch(progress: Progress) -> None:
        raise LookupError("the watcher's own")

    with pytest.raises(LookupError, match="the watcher's own"):
        target.perform(applied(CREATE, ENDLESS), lease=lease, watch=watch)
    assert tables_named(target, "thing") == 0


# The author's code on the connection


def test_the_authors_code_cannot_commit_by_any_door(target: SqliteTarget, lease: Lease) -> None:
    def by_text(connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")

    def by_method(connection: sqlite3.Connection) -> None:
        connection.commit()

    def by_script(connection: sqlite3.Connection) -> None:
        connection.executescript("CREATE TABLE more (id);")

    def by_context(connection: sqlite3.Connection) -> None:
        with connection:
            connection.execute("CREATE TABLE more (id)")

    def by_level(connection: sqlite3.Connection) -> None:
        connection.isolation_level = "DEFERRED"
        connection.isolation_level = None

    for door in (by_text, by_method, by_script, by_context, by_level):

        def work(connection: sqlite3.Connection, door: Callable[[sqlite3.Connection], None] = door) -> None:
            connection.execute(CREATE)
            door(connection)

        failure = failing(lambda work=work: target.perform_with(applied(), work, lease=lease))  # type: ignore[misc]
        assert failure.kind == "error"
        assert "Bascule's to do" in failure.message
        assert tables_named(target, "thing") == 0
    assert list(target.ledger()) == []


def test_what_the_authors_code_sets_on_the_connection_does_not_stay(target: SqliteTarget, lease: Lease) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.text_factory = bytes
        connection.isolation_level = "EXCLUSIVE"
        connection.execute("PRAGMA recursive_triggers = 1")
        connection.execute(CREATE)
        connection.execute("SELECT 1")  # left open

    target.perform_with(applied(), work, lease=lease)
    assert [row.name for row in target.ledger()] == ["create_thing"]
    assert pragma(target, "recursive_triggers") == 0
    target.perform(applied("INSERT INTO thing VALUES (1, 'a')", name="next"), lease=lease)
    assert target.query("SELECT note FROM thing") == [("a",)]


def test_an_authors_own_unicode_trouble_comes_out_unchanged(target: SqliteTarget, lease: Lease) -> None:
    with pytest.raises(UnicodeEncodeError):
        target.perform_with(applied(), lambda connection: "ü".encode("ascii"), lease=lease)  # type: ignore[arg-type]


def test_settings_reach_the_authors_code(target: SqliteTarget, lease: Lease) -> None:
    seen: list[Any] = []

    def work(connection: sqlite3.Connection) -> None:
        seen.extend(connection.execute("PRAGMA recursive_triggers").fetchall())

    target.perform_with(applied(settings=("PRAGMA recursive_triggers = 1",)), work, lease=lease)
    assert seen == [(1,)]


# The look of before, and the ledger


def test_the_look_stays_when_its_ledger_row_goes_until_it_is_forgotten(target: SqliteTarget, lease: Lease) -> None:
    from bascule.ports.database import LedgerChange

    touch = Touch(objects=frozenset((ObjectName(kind="relation", name="thing"),)))
    target.perform(job(CREATE, name="first"), lease=lease)
    looked = target.snapshot(touch)
    target.perform(applied("ALTER TABLE thing ADD COLUMN more", before=touch), lease=lease)
    assert target.before("create_thing") == looked
    target.perform(job(ledger=LedgerChange(remove="create_thing")), lease=lease)
    assert target.before("create_thing") == looked
    target.perform(job(forget_before=True), lease=lease)
    assert target.before("create_thing") is None


def test_ten_thousand_ledger_rows_are_read_in_a_moment(target: SqliteTarget, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
            "INSERT INTO bascule_ledger (name, version, run_id, applied_at, execution_ms, exact_hash, semantic_hash, "
            "parser, how, repeatable, script) SELECT 'm' || i, i, 'm_1', '2024-01-01T00:00:00.000Z', 1, "
            "hex(randomblob(32)), hex(randomblob(32)), 'p', 'run', 0, hex(randomblob(500)) FROM n"
        )
    begun = time.process_time()
    rows = target.ledger()
    assert len(rows) == 10_000
    assert time.process_time() - begun < 1.0


def test_the_file_moved_away_during_a_run_is_noticed(target: SqliteTarget, lease: Lease, path: Path) -> None:
    path.rename(path.with_name("moved.db"))
    failure = failing(lambda: target.perform(applied(CREATE), lease=lease))
    assert failure.kind == "error"
    assert "moved" in failure.message
