"""The crash kit: end, or hold up, a run of Bascule at any of its boundaries.

A boundary lies before and after each call with which a run changes its target or learns what stands there, takes,
reads, proves or restores a backup, and, while the server is at work on a message that was sent whole, inside it. They
are counted from 1. At the one asked for the process is killed with SIGKILL, which runs no ``finally``, or it pauses,
so that a test can do something to the server meanwhile.

::

    python -m bascule.testing.crash --list boundaries.txt -- up
    python -m bascule.testing.crash --at 12 -- up
    python -m bascule.testing.crash --at 12 --pause here -- up
    python -m bascule.testing.crash --at "before perform 0002_more up" --pause here -- up

A number is of one run: a statement that is repeated because another process was in the way moves those after it. Where
processes meet, name the boundary.

`forked` does the same without starting an interpreter for each run.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from bascule.ports.database import (
    Job,
    Lease,
    LedgerChange,
    Meanwhile,
    Observation,
    Performed,
    Progress,
    Target,
    TargetInfo,
    Watch,
)

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.domain.content import Content
    from bascule.domain.history import Fact, Holder, LedgerEntry
    from bascule.domain.metrics import Tally
    from bascule.domain.schema import Part, Snapshot
    from bascule.domain.statement import Dialect, Effect, ObjectName, Statement, Touch
    from bascule.ports.backup_store import BackupStore
    from bascule.ports.dump import Dumper
    from bascule.ports.preimages import PreImages
    from bascule.ports.state import StateDoor
    from bascule.ports.vitals import Vitals
    from bascule.services.backups import Backups

Place = Literal["before", "sent", "inside", "after"]
"""``sent``: the whole message is with the server, which is at work. ``inside``: in the transaction, around an author's
Python function, or (with driver boundaries) between two statements."""

_BLINK = 0.002
"""Seconds between two looks at something that ends soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """One moment of a run."""

    number: int
    place: Place
    call: str
    """What is about to happen, is happening, or has just happened."""

    @property
    def words(self) -> str:
        """What it is called in any run."""
        return f"{self.place} {self.call}"

    def __str__(self) -> str:
        return f"{self.number} {self.words}"


Act = Callable[[Boundary], None]


def kill(_: Boundary) -> None:
    """End this process at once, as the kernel or a power button would."""
    os.kill(os.getpid(), signal.SIGKILL)
    while True:  # the signal may take a moment to arrive
        signal.pause()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stay at the boundary: `file` appears, and the run goes on when it has been removed."""

    file: Path

    def __call__(self, boundary: Boundary) -> None:
        half = self.file.with_name(self.file.name + ".half")
        half.write_text(str(boundary), encoding="utf-8")
        half.rename(self.file)
        while self.file.exists():
            time.sleep(_BLINK)


class Boundaries:
    """Counts the boundaries of one run and acts at one of them."""

    def __init__(self, *, at: int | str | None = None, act: Act = kill, list_to: Path | None = None) -> None:
        """`at`: its number, or its words, which count the first time that they are reached. `list_to`: a file that gets
        a line for each boundary reached, written at once.
        """
        self._at = at
        self._act = act
        self._list_to = list_to
        self._count = 0

    def reach(self, place: Place, call: str) -> None:
        """The run is here now."""
        self._count += 1
        boundary = Boundary(number=self._count, place=place, call=call)
        if self._list_to is not None:
            with self._list_to.open("a", encoding="utf-8") as lines:
                lines.write(f"{boundary}\n")
        if self._at in (self._count, boundary.words):
            if isinstance(self._at, str):
                self._at = None
            self._act(boundary)


class CrashingLease:
    """A lease whose giving back has boundaries."""

    def __init__(self, lease: Lease, boundaries: Boundaries) -> None:
        self.lease = lease
        self.token = lease.token
        self.taken_from = lease.taken_from
        self._boundaries = boundaries

    def held(self) -> bool:
        return self.lease.held()

    def release(self) -> None:
        self._boundaries.reach("before", "release")
        self.lease.release()
        self._boundaries.reach("after", "release")


class CrashingTarget:
    """A target whose calls have boundaries. What it is asked before the lease is had has none: it changes nothing."""

    def __init__(self, target: Target, boundaries: Boundaries) -> None:
        self.dialect: Dialect = target.dialect
        self._target = target
        self._boundaries = boundaries
        self._leased = False

    # Reading

    def describe(self) -> TargetInfo:
        return self._target.describe()

    def ledger(self) -> Sequence[LedgerEntry]:
        self._reading("ledger")
        return self._target.ledger()

    def tally(self, *, after: int = 0, upto: int | None = None) -> Sequence[Tally]:
        return self._target.tally(after=after, upto=upto)

    def newest_fact(self, *, older_than: float = 0.0) -> int:
        return self._target.newest_fact(older_than=older_than)

    def vitals(self) -> Vitals:
        return self._target.vitals()

    def journal(
        self,
        *,
        migration: str | None = None,
        run_id: str | None = None,
        limit: int | None = None,
        kinds: Sequence[str] = (),
        after: int = 0,
    ) -> Sequence[Fact]:
        self._reading("journal")
        return self._target.journal(migration=migration, run_id=run_id, limit=limit, kinds=kinds, after=after)

    def marks(self) -> Mapping[tuple[str, str], Mapping[int, tuple[str, str]]]:
        self._reading("marks")
        return self._target.marks()

    def script(self, migration: str) -> str | None:
        return self._target.script(migration)

    def before(self, migration: str) -> Snapshot | None:
        self._reading(f"before {migration}")
        return self._target.before(migration)

    def holder(self) -> Holder | None:
        return self._target.holder()

    def left_behind(self) -> Holder | None:
        return self._target.left_behind()

    def doing(self, holder: Holder) -> Progress | None:
        return self._target.doing(holder)

    def observe(self, effect: Effect) -> Observation:
        call = f"observe {effect.action} {effect.name}".rstrip()
        self._boundaries.reach("before", call)
        seen = self._target.observe(effect)
        self._boundaries.reach("after", call)
        return seen

    def snapshot(self, touch: Touch) -> Snapshot:
        self._reading("snapshot")
        return self._target.snapshot(touch)

    def changed_since(self, migration: str, keys: Collection[str]) -> frozenset[Part] | None:
        return self._target.changed_since(migration, keys)

    def preimages(self) -> PreImages:
        return self._target.preimages()

    def offline_setup(self) -> str:
        return self._target.offline_setup()

    def offline(self, change: LedgerChange, before: Touch | None) -> tuple[str, str]:
        return self._target.offline(change, before)

    def leaving(self, migration: str) -> Sequence[str]:
        return self._target.leaving(migration)

    def state(self, *, beside: bool = True) -> StateDoor:
        return self._target.state(beside=beside)

    def query(
        self, sql: str, *, seconds: float | None = None, settings: Sequence[str] = ()
    ) -> Sequence[tuple[Any, ...]]:
        return self._target.query(sql, seconds=seconds, settings=settings)

    def contents(
        self, tables: Sequence[ObjectName], *, most: int, seconds: float, settings: Sequence[str] = ()
    ) -> Mapping[ObjectName, Content]:
        return self._target.contents(tables, most=most, seconds=seconds, settings=settings)

    def open_reader(self) -> Any:
        return self._target.open_reader()

    # Changing

    def prepare(self) -> None:
        self._boundaries.reach("before", "prepare")
        self._target.prepare()
        self._boundaries.reach("after", "prepare")

    def remember_environment(self, environment: str) -> None:
        self._boundaries.reach("before", "remember_environment")
        self._target.remember_environment(environment)
        self._boundaries.reach("after", "remember_environment")

    def append(self, facts: Sequence[Fact], *, durable: bool = True) -> None:
        call = "append " + ",".join(fact.kind for fact in facts)
        self._boundaries.reach("before", call)
        self._target.append(facts, durable=durable)
        self._boundaries.reach("after", call)

    def acquire(self, *, owner: str, run: str) -> Lease | Holder:
        from bascule.domain.history import Holder

        self._boundaries.reach("before", "acquire")
        answer = self._target.acquire(owner=owner, run=run)
        if isinstance(answer, Holder):
            return answer
        self._leased = True
        self._boundaries.reach("after", "acquire")
        return CrashingLease(answer, self._boundaries)

    def perform(
        self, job: Job, *, lease: Lease, watch: Watch | None = None, meanwhile: Meanwhile | None = None
    ) -> Performed:
        call = f"perform {_words(job)}"

        def sent() -> None:
            self._boundaries.reach("sent", call)
            if meanwhile is not None:
                meanwhile.tell()

        self._boundaries.reach("before", call)
        ahead = Meanwhile(tell=sent) if meanwhile is None else Meanwhile(tell=sent, think=meanwhile.think)
        performed = self._target.perform(job, lease=_own(lease), watch=watch, meanwhile=ahead)
        self._boundaries.reach("after", call)
        return performed

    def perform_with(
        self, job: Job, work: Callable[[Any], None], *, lease: Lease, watch: Watch | None = None
    ) -> Performed:
        call = f"perform_with {_words(job)}"

        def author(connection: Any) -> None:
            self._boundaries.reach("inside", f"{call}, before the function")
            work(connection)
            self._boundaries.reach("inside", f"{call}, after the function")

        self._boundaries.reach("before", call)
        performed = self._target.perform_with(job, author, lease=_own(lease), watch=watch)
        self._boundaries.reach("after", call)
        return performed

    def perform_bare(
        self,
        statement: Statement,
        *,
        settings: tuple[str, ...] = (),
        lease: Lease,
        run_id: str,
        watch: Watch | None = None,
    ) -> Performed:
        call = f"perform_bare {' '.join(statement.text.split())[:60]}"
        self._boundaries.reach("before", call)
        performed = self._target.perform_bare(
            statement, settings=settings, lease=_own(lease), run_id=run_id, watch=watch
        )
        self._boundaries.reach("after", call)
        return performed

    def repair(self, effect: Effect, *, lease: Lease) -> str:
        call = f"repair {effect.action} {effect.name}"
        self._boundaries.reach("before", call)
        words = self._target.repair(effect, lease=_own(lease))
        self._boundaries.reach("after", call)
        return words

    # The connection

    def reconnect(self) -> None:
        self._boundaries.reach("before", "reconnect")
        self._target.reconnect()
        self._boundaries.reach("after", "reconnect")

    def cancel(self) -> None:
        self._target.cancel()

    def close(self) -> None:
        self._target.close()

    def _reading(self, call: str) -> None:
        # After it there is nothing new: the next boundary is that of what is done with the answer.
        if self._leased:
            self._boundaries.reach("before", call)


class CrashingStore:
    """A store of backups with boundaries around each object that is written, read or removed. Worker processes open
    stores of their own, which have none.
    """

    def __init__(self, store: BackupStore, boundaries: Boundaries) -> None:
        self._store = store
        self._boundaries = boundaries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextlib.contextmanager
    def create(self, path: str) -> Iterator[Any]:
        call = f"store {_object(path)}"
        self._boundaries.reach("before", call)
        with self._store.create(path) as sink:
            yield sink
            self._boundaries.reach("inside", call)
        self._boundaries.reach("after", call)

    def read(self, path: str) -> Iterator[bytes]:
        self._boundaries.reach("before", f"read {_object(path)}")
        return self._store.read(path)

    def delete(self, path: str) -> None:
        call = f"delete {_object(path)}"
        self._boundaries.reach("before", call)
        self._store.delete(path)
        self._boundaries.reach("after", call)


class CrashingDumper:
    """A dumper with boundaries around each thing it does, whenever it tells how far it is, and, while it restores in
    place, before each statement that it sends to a server from the main thread.
    """

    def __init__(self, dumper: Dumper, boundaries: Boundaries) -> None:
        self._dumper = dumper
        self._boundaries = boundaries

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dumper, name)

    def dump(self, request: Any, **options: Any) -> Any:
        return self._around("dump", self._dumper.dump, request, **options)

    def verify(self, manifest: Any, **options: Any) -> Any:
        return self._around("verify", self._dumper.verify, manifest, **options)

    def restore(self, manifest: Any, **options: Any) -> Any:
        with _statements_of_tools(self._boundaries):
            return self._around("restore", self._dumper.restore, manifest, **options)

    def sweep(self) -> Any:
        return self._around("sweep", self._dumper.sweep)

    def _around(self, call: str, do: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        told = options.get("watch")

        def watch(what: str, done: int, of: int) -> None:
            if threading.current_thread() is threading.main_thread():
                self._boundaries.reach("inside", f"{call}: {what}")
            if told is not None:
                told(what, done, of)

        if told is not None:
            options["watch"] = watch
        self._boundaries.reach("before", call)
        answer = do(*arguments, **options)
        self._boundaries.reach("after", call)
        return answer


def install(boundaries: Boundaries, *, driver: bool = False) -> None:
    """From now on every target this process opens has boundaries. There is no way back: for processes of their own.

    `driver`: those of SQLite have one before each statement that is sent to it as well, also inside a transaction.
    """
    from bascule import wiring

    open_really = wiring.open_target

    def open_target(settings: Settings, *, read_only: bool = False) -> Target:
        return CrashingTarget(open_really(settings, read_only=read_only), boundaries)

    make_backups = wiring.backups

    def backups(settings: Settings) -> Backups:
        made = make_backups(settings)
        return dataclasses.replace(
            made,
            store=cast("BackupStore", CrashingStore(made.store, boundaries)),
            dumper=cast("Dumper", CrashingDumper(made.dumper, boundaries)),
        )

    wiring.open_target = open_target
    wiring.backups = backups
    if driver:
        _count_statements(boundaries)


# Runs in forked processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run's process ended."""

    code: int | None
    """Its exit code; None when a signal ended it."""
    signal: int | None
    out: str
    err: str
    seconds: float

    @property
    def killed(self) -> bool:
        """SIGKILL ended it."""
        return self.signal == signal.SIGKILL

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document it printed; empty when it printed none."""
        try:
            document = json.loads(self.out)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}


class Forked:
    """A run in a process of its own that was forked from this one."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid = pid
        self._folder = folder
        self._begun = time.monotonic()
        self._ended: Ended | None = None

    def wait(self, seconds: float = 60.0) -> Ended:
        """Its end. Raises TimeoutError, after killing it, when it takes longer."""
        ended = self._wait(seconds)
        if ended is None:
            self.kill()
            words = (self._folder / "err").read_text(encoding="utf-8", errors="replace")
            raise TimeoutError(f"The run had not ended after {seconds:g} s and was killed. It had said:\n{words}")
        return ended

    def kill(self) -> Ended:
        """SIGKILL from outside, unless it has ended already."""
        if self._ended is None:
            os.kill(self.pid, signal.SIGKILL)
        ended = self._wait(60.0)
        assert ended is not None, "SIGKILL cannot be ignored"
        return ended

    @property
    def is_running(self) -> bool:
        """It has not ended yet."""
        return self._wait(0.0) is None

    def _wait(self, seconds: float) -> Ended | None:
        until = time.monotonic() + seconds
        while self._ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._ended = self._read(os.waitstatus_to_exitcode(status))
            elif time.monotonic() >= until:
                return None
            else:
                time.sleep(_BLINK)
        return self._ended

    def _read(self, code: int) -> Ended:
        out, err = ((self._folder / name).read_text(encoding="utf-8", errors="replace") for name in ("out", "err"))
        shutil.rmtree(self._folder, ignore_errors=True)
        return Ended(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            out=out,
            err=err,
            seconds=time.monotonic() - self._begun,
        )


def warm_up() -> None:
    """Import what a run needs, so that forked ones find it there."""
    import importlib
    from importlib.util import find_spec

    if find_spec("psycopg") is not None:
        importlib.import_module("bascule.databases.postgres.target")
        importlib.import_module("psycopg.generators")
    if find_spec("postgast") is not None:
        importlib.import_module("postgast")
    if find_spec("sqlalchemy") is not None and find_spec("alembic") is not None:
        importlib.import_module("bascule.databases.operations.port")
        importlib.import_module("bascule.databases.operations.step_carrier")
        importlib.import_module("alembic.operations")
    for name in (
        "bascule.wiring",
        "bascule.api",
        "bascule.cli.main",
        "bascule.cli.group",
        "bascule.cli.session",
        "bascule.cli.progress",
        "bascule.cli.failure",
        "bascule.cli.verbs.up",
        "bascule.cli.verbs.rollback",
        "bascule.cli.verbs.recover",
        "bascule.cli.verbs.backup",
        "bascule.cli.verbs.status",
        "bascule.config.load",
        "bascule.services.batch",
        "bascule.services.rollback",
        "bascule.services.recover",
        "bascule.services.rollback_by_backup",
        "bascule.databases.sqlite.dumper",
        "bascule.services.status",
        "bascule.services.python_migrations",
        "bascule.sources.detect",
        "bascule.sources.native",
        "bascule.databases.sqlite.target",
    ):
        importlib.import_module(name)


def forked(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    boundaries: Boundaries | None = None,
    driver: bool = False,
) -> Forked:
    """Start ``bascule`` with these arguments in a fork of this process, which must have no other threads.

    `folder` is its working folder; `environment` is added to this process's own. With `boundaries` its targets are
    `install`-ed. Connections that this process has open must stay referenced until the fork has ended.
    """
    notes = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    for name in ("out", "err"):
        (notes / name).touch()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Forked(pid, notes)
    code = 70
    try:
        code = _in_the_fork(arguments, folder, environment, notes, boundaries, driver)
    finally:
        # Nothing of the parent's is to be cleaned up by this copy of it.
        os._exit(code)


def _in_the_fork(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    notes: Path,
    boundaries: Boundaries | None,
    driver: bool,
) -> int:
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, str(notes / "out"), os.O_WRONLY),
        (2, str(notes / "err"), os.O_WRONLY),
    ):
        opened = os.open(name, flags)
        os.dup2(opened, number)
        os.close(opened)
    # A process of its own would have drawn other numbers than its brothers.
    random.seed()
    os.environ.update(environment)
    os.chdir(folder)
    if boundaries is not None:
        install(boundaries, driver=driver)
    from bascule.cli.main import main

    return main(list(arguments))


# Inside


def _own(lease: Lease) -> Lease:
    return lease.lease if isinstance(lease, CrashingLease) else lease


def _words(job: Job) -> str:
    words = [job.migration, job.direction]
    if job.mark is not None:
        words.append(f"step {job.mark.step}")
    if job.ledger is not None:
        words.append("with the ledger")
    return " ".join(words)


def _object(path: str) -> str:
    """Without the backup's id, which is another one in each run."""
    return path.partition("/")[2] or path


@contextlib.contextmanager
def _statements_of_tools(boundaries: Boundaries) -> Iterator[None]:
    """Count what is sent on connections that dumps and restores open to PostgreSQL."""
    from bascule.databases.postgres.tool_access import Access

    connect = Access.connect

    def counting(access: Access, *, database: str | None = None) -> Any:
        connection = connect(access, database=database)
        execute = connection.execute

        def counted(query: Any, *arguments: Any, **options: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                boundaries.reach("inside", f"postgresql: {' '.join(str(query).split())[:60]}")
            return execute(query, *arguments, **options)

        setattr(connection, "execute", counted)  # noqa: B010 - methods of another's class are not assigned to
        return connection

    setattr(Access, "connect", counting)  # noqa: B010
    try:
        yield
    finally:
        setattr(Access, "connect", connect)  # noqa: B010


def _count_statements(boundaries: Boundaries) -> None:
    import sqlite3

    connect = sqlite3.connect

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            boundaries.reach("inside", f"sqlite: {' '.join(sql.split())[:60]}")
            return super().execute(sql, parameters)

    def counting(*arguments: Any, **options: Any) -> Any:
        return connect(*arguments, **{**options, "factory": Connection})

    sqlite3.connect = counting


def _place(words: str) -> int | str:
    return int(words) if words.isdigit() else words


def main(arguments: Sequence[str]) -> int:
    """Run ``bascule`` with boundaries; answers its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bascule.testing.crash", description=__doc__.split("\n\n")[0])
    parser.add_argument("--at", type=_place, metavar="N", help="the boundary at which something happens, or its words")
    parser.add_argument("--pause", type=Path, metavar="FILE", help="pause there instead: until FILE is removed")
    parser.add_argument("--list", type=Path, metavar="FILE", help="write each boundary that is reached")
    parser.add_argument("--driver", action="store_true", help="count the statements sent to SQLite too")
    parser.add_argument("bascule", nargs="+", help="after --: what to give to bascule")
    chosen = parser.parse_args(arguments)
    act: Act = kill if chosen.pause is None else Pause(file=chosen.pause)
    install(Boundaries(at=chosen.at, act=act, list_to=chosen.list), driver=chosen.driver)
    from bascule.cli.main import main as bascule

    return bascule(chosen.bascule)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
