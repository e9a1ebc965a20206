"""A process that dies in the middle, and a disk that is full: what is there afterwards, and who goes on."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bascule.databases.sqlite.target import SqliteTarget
from bascule.domain.history import Holder
from bascule.ports.database import Limits, TargetOptions, WorkFailed
from tests.conformance.database import CREATE, applied, job, lease_of, start_child, tables_named, taken

# More than SQLite keeps in memory, so that the file itself is half rewritten when the process dies.
FILL = (
    "INSERT INTO big (note) "
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT {} FROM n"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def open_target(path: Path) -> Iterator[Callable[[], SqliteTarget]]:
    opened: list[SqliteTarget] = []

    def open_one() -> SqliteTarget:
        opened.append(SqliteTarget(str(path)))
        return opened[-1]

    yield open_one
    for target in opened:
        target.close()


Open = Callable[[], SqliteTarget]


def opening_of(path: Path) -> str:
    """Python source that opens the database in another process."""
    return f"from bascule.databases.sqlite.target import SqliteTarget\ntarget = SqliteTarget({str(path)!r})\n"


def whole(path: Path) -> bool:
    """SQLite finds nothing wrong with the file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_half_rewritten_file_is_whole_again_for_whoever_looks_next(
    path: Path, open_target: Open, journal: str
) -> None:
    first = open_target()
    lease = lease_of(first)
    first.perform(job("CREATE TABLE big (id INTEGER PRIMARY KEY, note)", FILL.format(20_000, "'old'")), lease=lease)
    first.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}").fetchall()
    size = path.stat().st_size
    script = f"""
    lease = target.acquire(owner="child@here:9", run="run_1")

    def work(connection):
        connection.execute("UPDATE big SET note = 'new'")
        connection.execute({FILL.format(60_000, "hex(randomblob(100))")!r})
        print("half", flush=True)
        time.sleep(600)

    target.perform_with(job(lease.token), work, lease=lease)
    """
    with start_child(opening_of(path), script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "half\n"
        log = path if journal == "delete" else path.with_name("app.db-wal")
        assert log.stat().st_size > size
        child.kill()
    target = open_target()
    # Nobody prepared anything: looking is enough.
    assert list(target.ledger()) == []
    lease = taken(target.acquire(owner="me@here:1", run="run_2"))
    assert lease.taken_from is not None
    assert target.query("SELECT note, count(*) FROM big GROUP BY note") == [("old", 20_000)]
    target.perform(applied("UPDATE big SET note = 'new'"), lease=lease)
    assert target.query("SELECT note, count(*) FROM big GROUP BY note") == [("new", 20_000)]
    assert whole(path)


def test_killed_at_any_moment_a_run_ends_exactly_once_under_those_who_come_after(path: Path, open_target: Open) -> None:
    """Migrations that each add a row, by processes killed at random; whoever gets the lease goes on at once."""
    migrations = 30
    script = f"""
    import sys
    sys.path.insert(0, {str(Path(__file__).parents[3])!r})
    from bascule.domain.history import Holder
    from tests.conformance.database import applied, fact
    target.prepare()
    while True:
        lease = target.acquire(owner="child@here:9", run="run_1")
        if not isinstance(lease, Holder):
            break
        time.sleep(0.005)
    print("ready", flush=True)
    done = {{row.name for row in target.ledger()}}
    for number in range({migrations}):
        name = f"m{{number:03}}"
        if name not in done:
            insert = "INSERT INTO rows (name) VALUES ('" + name + "')"
            texts = ("CREATE TABLE IF NOT EXISTS rows (name)", insert, f"CREATE TABLE t{{number}} (id)")
            target.perform(applied(*texts, name=name, facts=(fact("run_completed", migration=name),)), lease=lease)
    """
    code = "import time\n" + opening_of(path) + textwrap.dedent(script)
    chance = random.Random(7)
    kills = 0
    for attempt in range(12):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            if attempt < 11:
                time.sleep(chance.random() * 0.02)
                child.kill()
        kills += child.returncode == -signal.SIGKILL
    assert kills > 0
    target = open_target()
    names = [f"m{number:03}" for number in range(migrations)]
    assert [row.name for row in target.ledger()] == names
    assert target.query("SELECT name FROM rows ORDER BY rowid") == [(name,) for name in names]
    told = [each.migration for each in target.journal(kinds=("run_completed",))]
    assert len(set(told)) == len(told)
    assert whole(path)


def test_two_waiters_and_a_dead_owner_make_one_new_owner(path: Path, open_target: Open) -> None:
    first, second = open_target(), open_target()
    first.prepare()
    script = 'lease = target.acquire(owner="child@here:9", run="run_1")\nprint("held", flush=True)\ninput()\n'
    with start_child(opening_of(path), script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        child.kill()
    answers = [each.acquire(owner="me@here:1", run="run_2") for each in (first, second)]
    assert [isinstance(answer, Holder) for answer in answers] == [False, True]
    assert taken(answers[0]).taken_from is not None


def test_a_full_database_undoes_the_migration_and_says_so(open_target: Open) -> None:
    target = open_target()
    lease = lease_of(target)
    pages = target.query("PRAGMA page_count")[0][0]
    with pytest.raises(WorkFailed) as failure:
        target.perform(
            applied(
                f"PRAGMA max_page_count = {pages + 20}",
                "CREATE TABLE big (note)",
                FILL.format(5_000, "hex(randomblob(50))"),
            ),
            lease=lease,
        )
    assert failure.value.kind == "full"
    assert failure.value.statement == 2
    assert failure.value.sqlstate == "SQLITE_FULL"
    assert "no space left" in failure.value.message
    assert tables_named(target, "big") == 0


LIMITED = """
import resource, signal
from tests.conformance.database import applied, job
from bascule.errors import BasculeError
from bascule.ports.database import WorkFailed

def room(bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, resource.RLIM_INFINITY))

"""


def with_little_room(path: Path, script: str) -> list[str]:
    """Lines printed by a process that may not write large files, which to SQLite looks like a bad disk."""
    root = str(Path(__file__).parents[3])
    code = f"import sys\nsys.path.insert(0, {root!r})\n" + LIMITED + opening_of(path) + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_a_file_that_may_not_grow_undoes_the_migration_and_says_so(path: Path, open_target: Open) -> None:
    lines = with_little_room(
        path,
        f"""
        fill = {FILL.format(60_000, "hex(randomblob(50))")!r}
        target.prepare()
        lease = target.acquire(owner="child@here:9", run="run_1")
        room(100_000)
        try:
            target.perform(applied("CREATE TABLE big (note)", fill), lease=lease)
        except WorkFailed as failed:
            print(failed.kind, failed.statement, failed.hint)
        print(target.ledger(), target.query("SELECT count(*) FROM sqlite_master WHERE name = 'big'"))
        room(resource.RLIM_INFINITY)
        target.perform(applied("CREATE TABLE big (note)"), lease=lease)
        lease.release()
        """,
    )
    assert lines[0].startswith("full 1 Look at the free space")
    assert lines[1] == "[] [(0,)]"
    target = open_target()
    assert [row.name for row in target.ledger()] == ["create_thing"]
    assert whole(path)


def test_no_room_for_bascules_own_tables_is_refused_and_leaves_none(path: Path, open_target: Open) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(CREATE)
    lines = with_little_room(
        path,
        """
        room(10_000)
        try:
            target.prepare()
        except BasculeError as refused:
            print(refused.code, refused.state, refused.exit_code)
            print(refused.message)
        """,
    )
    assert lines[0] == "disk_full unchanged 3"
    assert "no space left" in lines[1]
    target = open_target()
    assert not target.describe().prepared
    target.prepare()
    assert target.describe().prepared
    assert whole(path)


def test_an_end_that_nobody_can_vouch_for_is_looked_up(
    path: Path, open_target: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails while the journal is being removed: whether that was before or after, only a new look can tell."""
    target = open_target()
    lease = lease_of(target)
    trouble = sqlite3.OperationalError("disk I/O error")
    trouble.sqlite_errorname = "SQLITE_IOERR_DELETE"

    class BadDisk:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
            answer = self._connection.execute(text, *values)
            if text == "COMMIT":
                raise trouble
            return answer

        def __getattr__(self, name: str) -> object:
            return getattr(self._connection, name)

    performer = target._ready()
    monkeypatch.setattr(performer, "_connection", BadDisk(performer._connection))
    with pytest.raises(WorkFailed) as failure:
        target.perform(applied(CREATE), lease=lease)
    assert failure.value.kind == "lost"
    target.reconnect()
    assert lease.held()
    assert [row.name for row in target.ledger()] == ["create_thing"]


def test_a_frozen_writer_keeps_others_out_without_harm(path: Path, open_target: Open) -> None:
    target = SqliteTarget(str(path), TargetOptions(limits=Limits(lock_retry=0.3)))
    with closing(target):
        target.prepare()
        script = """
        lease = target.acquire(owner="child@here:9", run="run_1")

        def work(connection):
            connection.execute("CREATE TABLE thing (id integer PRIMARY KEY, note text)")
            print("in the middle", flush=True)
            input()

        target.perform_with(job(lease.token), work, lease=lease)
        lease.release()
        target.close()
        """
        with start_child(opening_of(path), script) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "in the middle\n"
            child.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
            assert isinstance(target.acquire(owner="me@here:1", run="run_2"), Holder)
            # A writer that has not begun to write the file itself does not keep others from reading.
            assert list(target.ledger()) == []
            child.send_signal(signal.SIGCONT)
            child.communicate("go on\n")
        lease = taken(target.acquire(owner="me@here:1", run="run_2"))
        assert lease.taken_from is None
        assert tables_named(target, "thing") == 1
