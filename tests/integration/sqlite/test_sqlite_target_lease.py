"""One process at a time: the lock on the sidecar, the token in the database, and what happens when owner or file
goes away."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bascule.databases.sqlite.filelock import FileLock, is_locked
from bascule.databases.sqlite.target import SqliteTarget
from bascule.domain.history import Holder
from bascule.errors import Interrupted, LockNotAvailable
from bascule.ports.database import Limits, TargetOptions, WorkFailed
from tests.conformance.database import CREATE, applied, fact, lease_of, start_child, tables_named, taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def open_target(path: Path) -> Iterator[Callable[..., SqliteTarget]]:
    opened: list[SqliteTarget] = []

    def open_one(where: Path = path, limits: Limits | None = None) -> SqliteTarget:
        opened.append(SqliteTarget(str(where), TargetOptions(limits=limits or Limits())))
        return opened[-1]

    yield open_one
    for target in opened:
        target.close()


Open = Callable[..., SqliteTarget]


def opening_of(path: Path) -> str:
    """Python source that opens the database in another process."""
    return f"from bascule.databases.sqlite.target import SqliteTarget\ntarget = SqliteTarget({str(path)!r})\n"


HOLD = """
lease = target.acquire(owner="child@here:9", run="run_1")
print("held", flush=True)
input()
"""


def test_the_kernel_frees_the_lease_of_a_killed_process_at_once(path: Path, open_target: Open) -> None:
    target = open_target()
    target.prepare()
    with start_child(opening_of(path), HOLD) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        answer = target.acquire(owner="me@here:1", run="run_2")
        assert isinstance(answer, Holder)
        assert answer.backend == f"pid {child.pid}"
        child.kill()
        child.wait()
        begun = time.monotonic()
        lease = taken(target.acquire(owner="me@here:1", run="run_2"))
        assert time.monotonic() - begun < 1
    assert lease.taken_from is not None
    assert lease.taken_from.owner == "child@here:9"
    assert lease.taken_from.run == "run_1"
    assert lease.token == lease.taken_from.token + 1


def test_a_frozen_owner_keeps_the_lease_and_is_said_to_be_frozen(path: Path, open_target: Open) -> None:
    target = open_target()
    target.prepare()
    with start_child(opening_of(path), HOLD) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        for _ in range(3):
            answer = target.acquire(owner="me@here:1", run="run_2")
            assert isinstance(answer, Holder)
            assert answer.backend == f"pid {child.pid}, stopped by a signal"
        child.send_signal(signal.SIGCONT)
        child.communicate("go on\n")
    # It ended without a word, so this is a takeover.
    assert taken(target.acquire(owner="me@here:1", run="run_2")).taken_from is not None


def test_a_child_that_was_forked_does_not_keep_the_lease_of_its_dead_parent(path: Path, open_target: Open) -> None:
    target = open_target()
    target.prepare()
    script = """
    import os, sys
    lease = target.acquire(owner="child@here:9", run="run_1")
    if os.fork() == 0:
        assert not lease.held()
        lease.release()
        print(os.getpid(), flush=True)
        time.sleep(600)
    os.wait()
    """
    with start_child(opening_of(path), script) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        try:
            assert isinstance(target.acquire(owner="me@here:1", run="run_2"), Holder)
            child.kill()
            child.wait()
            lease = taken(target.acquire(owner="me@here:1", run="run_2"))
            assert lease.taken_from is not None
        finally:
            os.kill(grandchild, signal.SIGKILL)


def test_twenty_processes_at_once_prepare_and_migrate_exactly_once(path: Path, open_target: Open) -> None:
    script = """
    import sys
    sys.path.insert(0, sys.argv[1])
    from bascule.domain.history import Holder
    from tests.conformance.database import applied, CREATE
    sys.stdin.read(1)
    target.prepare()
    while True:
        answer = target.acquire(owner="child@here:9", run="run_1")
        if not isinstance(answer, Holder):
            break
        time.sleep(0.01)
    if any(row.name == "create_thing" for row in target.ledger()):
        print("was there")
    else:
        target.perform(applied(CREATE), lease=answer)
        print("did it")
    answer.release()
    target.close()
    """
    import textwrap

    root = Path(__file__).parents[3]
    code = "import time\n" + opening_of(path) + textwrap.dedent(script)
    gate_out, gate_in = os.pipe()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(root)], stdin=gate_out, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(20)
    ]
    os.close(gate_out)
    os.write(gate_in, b"." * len(children))
    os.close(gate_in)
    ends = [child.communicate(timeout=100) for child in children]
    assert [child.returncode for child in children] == [0] * len(children), [err for _, err in ends if err]
    words = sorted(out.decode().strip() for out, _ in ends)
    assert words == ["did it"] + ["was there"] * (len(children) - 1)
    target = open_target()
    assert [row.name for row in target.ledger()] == ["create_thing"]
    assert target.holder() is None
    assert list(target.journal()) == []


def test_looking_who_holds_the_lease_never_keeps_anybody_from_taking_it(path: Path, open_target: Open) -> None:
    target, onlooker = open_target(), open_target()
    target.prepare()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            is_locked(path.with_name("app.db.bascule"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(50):
            taken(target.acquire(owner="me@here:1", run="run_1")).release()
    finally:
        done.set()
        thread.join()
    assert onlooker.holder() is None


def test_an_owner_whose_sidecar_was_deleted_can_commit_nothing_once_another_took_over(
    path: Path, open_target: Open
) -> None:
    old_owner, other = open_target(), open_target()
    old = lease_of(old_owner)
    assert old.held()
    for name in ("app.db.bascule", "app.db.bascule-wal", "app.db.bascule-shm"):
        path.with_name(name).unlink()
    assert not old.held()
    other.prepare()
    new = taken(other.acquire(owner="other@here:2", run="run_2"))
    assert new.token > old.token
    with pytest.raises(WorkFailed) as failure:
        old_owner.perform(applied(CREATE), lease=old)
    assert failure.value.kind == "fence"
    old.release()
    assert new.held()
    other.perform(applied(CREATE, facts=(fact("run_completed"),)), lease=new)
    assert [each.kind for each in other.journal()] == ["repaired", "run_completed"]


def test_a_lease_taken_by_a_second_path_to_the_same_file_shuts_the_first_out(
    path: Path, tmp_path: Path, open_target: Open
) -> None:
    first = open_target()
    old = lease_of(first)
    (tmp_path / "hard.db").hardlink_to(path)
    second = open_target(tmp_path / "hard.db")
    new = lease_of(second, run="run_2")
    assert old.held()
    assert new.token > old.token
    with pytest.raises(WorkFailed) as failure:
        first.perform(applied(CREATE), lease=old)
    assert failure.value.kind == "fence"
    second.perform(applied(CREATE), lease=new)


def test_the_database_replaced_by_an_older_copy_shuts_its_owner_out(
    path: Path, tmp_path: Path, open_target: Open
) -> None:
    target = open_target()
    lease_of(target).release()
    target.close()
    shutil.copy(path, tmp_path / "older.db")
    target = open_target()
    lease = lease_of(target)
    shutil.copy(tmp_path / "older.db", tmp_path / "incoming.db")
    (tmp_path / "incoming.db").rename(path)
    # Another name now stands for another file: what is open is nobody's any more.
    with pytest.raises(WorkFailed) as failure:
        target.perform(applied(CREATE), lease=lease)
    assert failure.value.kind in ("fence", "error")
    assert tables_named(open_target(), "thing") == 0
    lease.release()
    assert lease_of(open_target()).token > lease.token


def test_an_application_at_work_is_waited_for_and_named_when_the_lease_is_taken(path: Path, open_target: Open) -> None:
    target = open_target(limits=Limits(lock_retry=0.3))
    target.prepare()
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
        with pytest.raises(LockNotAvailable, match=f"pid {child.pid}") as failure:
            target.acquire(owner="me@here:1", run="run_1")
        assert failure.value.state == "unchanged"
        assert target.holder() is None
        child.communicate("go on\n")
    lease = taken(target.acquire(owner="me@here:1", run="run_1"))
    assert lease.taken_from is None


def test_a_wait_of_more_than_a_second_is_told_once_with_who_is_in_the_way(
    path: Path, open_target: Open, caplog: pytest.LogCaptureFixture
) -> None:
    target = open_target()
    target.prepare()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        for seconds, times in ((0.3, 0), (1.5, 1)):
            caplog.clear()
            other.execute("BEGIN IMMEDIATE")
            timer = threading.Timer(seconds, other.execute, ("ROLLBACK",))
            timer.start()
            lease = taken(target.acquire(owner="me@here:1", run="run_1"))
            timer.join()
            lease.release()
            told = [record.getMessage() for record in caplog.records if record.name == "bascule.sqlite"]
            assert len(told) == times
            assert all(f"(pid {os.getpid()})" in words and str(path) in words for words in told)


def test_waiting_for_an_application_can_be_stopped(path: Path, open_target: Open) -> None:
    target = open_target()
    target.prepare()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.2, target.cancel)
        timer.start()
        begun = time.monotonic()
        with pytest.raises(Interrupted) as interrupted:
            target.acquire(owner="me@here:1", run="run_1")
        assert time.monotonic() - begun < 5
        assert interrupted.value.hint == "Run the command again."
        timer.join()
    taken(target.acquire(owner="me@here:1", run="run_1"))


def test_closing_one_target_does_not_drop_the_locks_of_another_in_this_process(path: Path, open_target: Open) -> None:
    """The system drops all of a process's locks on a file when any descriptor of it is closed, SQLite's among them."""
    first, second = open_target(), open_target()
    lease_of(first).release()
    assert second.holder() is None
    second.append((fact(),))
    sidecar = path.with_name("app.db.bascule")
    assert shared_locks(sidecar) > 0
    first.close()
    assert shared_locks(sidecar) > 0
    second.append((fact(),))
    second.close()
    assert shared_locks(sidecar) == 0


def test_no_descriptor_is_left_open(path: Path, open_target: Open) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        first, second = open_target(), open_target()
        lease = lease_of(first)
        assert second.holder() is not None
        assert isinstance(second.acquire(owner="other@here:2", run="run_2"), Holder)
        lease.release()
        first.close()
        taken(second.acquire(owner="other@here:2", run="run_2"))
        second.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lock_on_a_file_that_was_replaced_meanwhile_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    lock = FileLock(path)
    assert lock.take()
    assert lock.take()
    path.rename(tmp_path / "elsewhere")
    path.touch()
    assert not lock.holds()
    other = FileLock(path)
    assert other.take()
    lock.give_back()
    lock.give_back()
    assert other.holds()
    assert is_locked(path)
    other.give_back()
    assert not is_locked(path)


def shared_locks(path: Path) -> int:
    """Locks of POSIX's kind that this process holds on a file."""
    inode = str(path.stat().st_ino)
    lines = Path("/proc/locks").read_text().splitlines()
    fields = [line.split() for line in lines]
    return sum(each[1] == "POSIX" and int(each[4]) == os.getpid() and each[5].endswith(f":{inode}") for each in fields)
