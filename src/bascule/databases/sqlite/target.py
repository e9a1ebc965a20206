"""SQLite as a target. See `bascule.ports.database` for what each method promises."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from bascule.databases.sqlite.aside import Aside
from bascule.databases.sqlite.blockers import who_locks
from bascule.databases.sqlite.catalog import shape
from bascule.databases.sqlite.errors import SENDING_ERRORS, error_name, is_busy, refusal, unreachable, work_failed
from bascule.databases.sqlite.filelock import FileLock
from bascule.databases.sqlite.journal_mode import JournalMode
from bascule.databases.sqlite.layout import create_tables, read_meta, refuse_newer
from bascule.databases.sqlite.lease import SqliteLease
from bascule.databases.sqlite.location import locate
from bascule.databases.sqlite.memory import read_before, read_ledger, read_marks, read_script, read_token, write_meta
from bascule.databases.sqlite.opening import (
    create_file,
    open_database,
    refuse_unwritable,
    require_version,
)
from bascule.databases.sqlite.sidecar import WAIT as SIDECAR_WAIT
from bascule.databases.sqlite.sidecar import Sidecar, create_sidecar, open_sidecar
from bascule.databases.sqlite.stopping import INSTRUCTIONS, Stop
from bascule.databases.sqlite.transaction import Performer, may_set
from bascule.databases.sqlite.waiting import until_free
from bascule.domain.history import Fact, Holder, LedgerEntry, timed
from bascule.domain.schema import Part, Snapshot
from bascule.domain.statement import Dialect, Effect, ObjectName, Statement, Touch
from bascule.errors import BasculeError, ConfigError, Interrupted, Refused
from bascule.ports.database import (
    Job,
    Lease,
    LedgerChange,
    Meanwhile,
    Observation,
    Performed,
    Progress,
    TargetInfo,
    TargetOptions,
    Watch,
    WorkFailed,
)

if TYPE_CHECKING:
    from bascule.databases.sqlite.preimages import SqlitePreImages
    from bascule.databases.sqlite.state import SqliteState
    from bascule.databases.sqlite.vitals import SqliteVitals
    from bascule.domain.content import Content
    from bascule.domain.metrics import Tally

T = TypeVar("T")

_LOOKERS_WAIT = 0.1
"""Seconds. Who only looks whether the lease is held shares the lock for an instant, and taking it must not fail for
that."""
READER_WAIT = 5.0
"""Seconds for which a connection for reading waits while somebody ends a transaction."""
_REPLACED = (
    "The sidecar file was missing and has been made again. Facts of earlier runs, if there were any, are not in it."
)
_BEGUN_AGAIN = "The database was begun again; the file still holds the facts of the one that was here before."


class SqliteTarget:
    """One database file and its sidecar."""

    dialect: Dialect = "sqlite"

    def __init__(self, path_or_url: str, options: TargetOptions | None = None) -> None:
        """Reads the address; opens nothing yet.

        Raises:
            TargetUnreachable: the address is wrong, or Python's SQLite too old.
            ConfigError: a setting that only PostgreSQL has.
        """
        require_version()
        self._options = options or TargetOptions()
        if self._options.state_url is not None:
            raise ConfigError(
                "BASCULE_STATE_URL moves the journal of a PostgreSQL database. That of a SQLite one stays beside it.",
                hint="Take the setting away for this target.",
            )
        self._location = locate(path_or_url)
        self._limits = self._options.limits
        self._stop = Stop()
        self._connection: sqlite3.Connection | None = None
        self._performer: Performer | None = None
        self._journal_mode: JournalMode | None = None
        self._aside = Aside()
        self._untold: tuple[Fact, ...] = ()
        """Facts of jobs that have committed, to be written before anything else is done with the sidecar."""
        self._notices: tuple[str, ...] = ()
        self._sidecar: Sidecar | None = None
        self._lease: SqliteLease | None = None

    # What the database remembers

    def describe(self) -> TargetInfo:
        meta = self._read(read_meta, otherwise=None) or {}
        major, minor, patch = sqlite3.sqlite_version_info
        return TargetInfo(
            dialect="sqlite",
            server=f"SQLite {sqlite3.sqlite_version}",
            version=major * 1_000_000 + minor * 1_000 + patch,
            database=self._location.path.name,
            environment=meta.get("environment"),
            prepared="layout" in meta,
            location=self._location.url,
        )

    def ledger(self) -> Sequence[LedgerEntry]:
        return self._recall(read_ledger, otherwise=[])

    def marks(self) -> Mapping[tuple[str, str], Mapping[int, tuple[str, str]]]:
        return self._recall(read_marks, otherwise={})

    def script(self, migration: str) -> str | None:
        return self._recall(lambda connection: read_script(connection, migration), otherwise=None)

    def before(self, migration: str) -> Snapshot | None:
        return self._recall(lambda connection: read_before(connection, migration), otherwise=None)

    def prepare(self) -> None:
        meta = self._meta()
        if meta is not None and self._open_sidecar(meta["identity"]) is not None:
            return
        refuse_unwritable(self._location, read_only=self._is_read_only)
        try:
            create_file(self._location.path)
            connection = self._open()
            if connection is None:
                raise FileNotFoundError(f"{self._location.path} was deleted as soon as it was made")
            self._wait(lambda: self._set_up(connection))
        except (sqlite3.Error, OSError) as exc:
            raise refusal(exc, path=self._location.path, doing="prepare the database") from exc

    def remember_environment(self, environment: str) -> None:
        self.prepare()
        self._write("remember the environment", lambda connection: write_meta(connection, "environment", environment))

    # The journal

    def journal(
        self,
        *,
        migration: str | None = None,
        run_id: str | None = None,
        limit: int | None = None,
        kinds: Sequence[str] = (),
        after: int = 0,
    ) -> Sequence[Fact]:
        return self._from_journal(
            lambda sidecar: sidecar.journal(migration=migration, run_id=run_id, limit=limit, kinds=kinds, after=after),
            [],
            "read the journal",
        )

    def tally(self, *, after: int = 0, upto: int | None = None) -> Sequence[Tally]:
        return self._from_journal(lambda sidecar: sidecar.tally(after=after, upto=upto), [], "count the journal")

    def newest_fact(self, *, older_than: float = 0.0) -> int:
        return self._from_journal(lambda sidecar: sidecar.newest(older_than=older_than), 0, "look at the journal")

    def vitals(self) -> SqliteVitals:
        from bascule.databases.sqlite.vitals import SqliteVitals

        return SqliteVitals(self._location.path)

    def append(self, facts: Sequence[Fact], *, durable: bool = True) -> None:
        if not facts:
            return
        self._tell()
        sidecar = self._own_sidecar()
        with self._sidecar_errors("write the journal"):
            sidecar.append(facts, durable=durable)

    def state(self, *, beside: bool = True) -> SqliteState:
        from bascule.databases.sqlite.state import SqliteState

        def about() -> str:
            meta = self._meta()
            return meta["identity"] if meta is not None else ""

        return SqliteState(self._location.sidecar, about=about, make=self.prepare)

    # The lease

    def acquire(self, *, owner: str, run: str) -> Lease | Holder:
        refuse_unwritable(self._location, read_only=self._is_read_only)
        sidecar = self._own_sidecar()
        ttl = self._limits.lease_ttl
        lock = FileLock(sidecar.path)
        with self._sidecar_errors("take the lease"):
            if (self._lease is not None and self._lease.held()) or not self._try(lock, sidecar):
                return sidecar.holder(ttl=ttl) or _unnamed(sidecar, ttl)
            try:
                former = sidecar.holder(ttl=ttl)
                token = self._new_token(sidecar, owner=owner, run=run)
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    sidecar.write_released(sidecar.last_token())
                lock.give_back()
                raise
        self._lease = SqliteLease(token=token, taken_from=former, lock=lock, sidecar=sidecar)
        return self._lease

    def doing(self, holder: Holder) -> None:
        """Nobody but the process itself can tell."""

    def holder(self) -> Holder | None:
        meta = self._meta()
        sidecar = self._open_sidecar(meta["identity"]) if meta is not None else None
        if sidecar is None:
            return None
        with self._sidecar_errors("see who holds the lease"):
            if not sidecar.is_locked():
                return None
            return sidecar.holder(ttl=self._limits.lease_ttl)

    def left_behind(self) -> Holder | None:
        meta = self._meta()
        sidecar = self._open_sidecar(meta["identity"]) if meta is not None else None
        if sidecar is None:
            return None
        with self._sidecar_errors("see who holds the lease"):
            ttl = self._limits.lease_ttl
            before = sidecar.holder(ttl=ttl)
            if before is None or sidecar.is_locked():
                return None
            # Whoever gave it back in between has written so before; whoever took it has another token.
            after = sidecar.holder(ttl=ttl)
            return after if after is not None and after.token == before.token else None

    # Work

    def perform(
        self, job: Job, *, lease: Lease, watch: Watch | None = None, meanwhile: Meanwhile | None = None
    ) -> Performed:
        if meanwhile is None:
            return self._perform(job, lease, watch)

        def beside() -> None:
            # Without the file it would have to be made, for which the database's own connection is needed.
            if self._sidecar is not None:
                self._tell()
            meanwhile.think()

        meanwhile.tell()
        with self._aside.doing(beside):
            return self._perform(job, lease, watch, goes_on=True)

    def _perform(self, job: Job, lease: Lease, watch: Watch | None, *, goes_on: bool = False) -> Performed:
        """`goes_on`: another job follows at once, beside which the facts of this one can be written."""
        begun = time.perf_counter()
        performer = self._ready(job, many=goes_on)
        try:
            rows = performer.perform(job, lease, watch)
        finally:
            self._after(performer)
        self._untold += timed(job.facts, _ms_since(begun))
        if not goes_on:
            self._tell()
        return self._performed(begun, rows)

    def perform_with(
        self, job: Job, work: Callable[[Any], None], *, lease: Lease, watch: Watch | None = None
    ) -> Performed:
        begun = time.perf_counter()
        performer = self._ready()
        try:
            performer.perform_with(job, work, lease, watch)
        finally:
            self._after(performer)
        self._untold += timed(job.facts, _ms_since(begun))
        self._tell()
        return self._performed(begun, ())

    def perform_bare(
        self,
        statement: Statement,
        *,
        settings: tuple[str, ...] = (),
        lease: Lease,
        run_id: str,
        watch: Watch | None = None,
    ) -> Performed:
        begun = time.perf_counter()
        rows = self._bare(statement, settings, lease, watch)
        return Performed(ms=_ms_since(begun), rows=rows)

    def observe(self, effect: Effect) -> Observation:
        if effect.action == "harmless":
            return Observation(state="absent", words="sending it once more changes nothing")
        return Observation(state="undecidable", words="nothing in SQLite's catalog tells whether it ran")

    def repair(self, effect: Effect, *, lease: Lease) -> str:
        return "SQLite leaves nothing broken behind, so there was nothing to repair."

    # Looking

    def snapshot(self, touch: Touch) -> Snapshot:
        return self._looking(lambda connection: shape(connection, touch))

    def changed_since(self, migration: str, keys: Collection[str]) -> frozenset[Part] | None:
        """Nothing in SQLite's catalog tells who made what. Nothing is overwritten there by mending either."""
        return None

    def preimages(self) -> SqlitePreImages:
        from bascule.databases.sqlite.preimages import SqlitePreImages

        return SqlitePreImages(self._looking, lambda write: self._write("throw away what was kept long enough", write))

    def query(
        self, sql: str, *, seconds: float | None = None, settings: Sequence[str] = ()
    ) -> Sequence[tuple[Any, ...]]:
        def rows(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            (before,) = connection.execute("PRAGMA query_only").fetchone()
            connection.execute("PRAGMA query_only = 1")
            self._stop.limit(seconds)
            try:
                return connection.execute(sql).fetchall()
            except sqlite3.OperationalError as exc:
                if self._stop.reason != "timeout":
                    raise
                self._stop.reason = None
                raise WorkFailed("timeout", f"not done after {seconds:g} s") from exc
            finally:
                self._stop.limit(None)
                connection.execute(f"PRAGMA query_only = {before}")

        return self._looking(rows)

    def contents(
        self, tables: Sequence[ObjectName], *, most: int, seconds: float, settings: Sequence[str] = ()
    ) -> Mapping[ObjectName, Content]:
        from bascule.databases.sqlite.contents import read_contents

        def timed_out() -> bool:
            late = self._stop.reason == "timeout"
            self._stop.reason = None if late else self._stop.reason
            return late

        def read(connection: sqlite3.Connection) -> dict[ObjectName, Content]:
            self._stop.limit(seconds)
            try:
                return dict(read_contents(connection, tables, most=most, seconds=seconds, timed_out=timed_out))
            finally:
                self._stop.limit(None)

        return self._looking(read)

    def open_reader(self) -> sqlite3.Connection:
        """One that cannot write, and waits a little longer for its turn than work does."""
        connection = self._wait(
            lambda: open_database(self._location, read_only=True, wait=READER_WAIT, on_progress=None, every=0)
        )
        return connection or sqlite3.connect(":memory:", isolation_level=None)

    # By hand

    def offline_setup(self) -> str:
        from bascule.databases.sqlite import offline

        return "" if self.describe().prepared else offline.setup()

    def offline(self, change: LedgerChange, before: Touch | None) -> tuple[str, str]:
        from bascule.databases.sqlite import offline

        return "", offline.ledger(change)

    def leaving(self, migration: str) -> Sequence[str]:
        """As the port."""
        from bascule.databases.sqlite import offline

        return offline.leaving(migration)

    # The connection

    def reconnect(self) -> None:
        """SQLite works inside this process, so nothing of a lost connection is still at work."""
        self._close_connection()
        self._open_waiting()

    def cancel(self) -> None:
        self._stop.ask()
        connection = self._connection
        if connection is not None:
            # Closed by the other thread just now: then there is nothing left to stop.
            with contextlib.suppress(sqlite3.ProgrammingError):
                connection.interrupt()

    def close(self) -> None:
        self._tell()
        if self._lease is not None:
            self._lease.release()
            self._lease = None
        if self._sidecar is not None:
            self._sidecar.close()
            self._sidecar = None
        self._close_connection()
        self._aside.close()

    # Inside

    @property
    def _is_read_only(self) -> bool:
        return self._options.read_only or self._location.read_only

    def _open(self) -> sqlite3.Connection | None:
        """The connection; None while there is no file. Raises as `open_database`."""
        if self._connection is None:
            self._connection = open_database(
                self._location,
                read_only=self._is_read_only,
                wait=self._limits.lock_timeout,
                on_progress=self._stop,
                every=INSTRUCTIONS,
            )
            self._performer = None
        return self._connection

    def _open_waiting(self) -> sqlite3.Connection | None:
        return self._wait(self._open)

    def _close_connection(self) -> None:
        performer, connection = self._performer, self._connection
        self._connection = self._performer = None
        if connection is not None:
            if performer is not None and self._journal_mode is not None:
                self._journal_mode.restore()
            connection.close()

    def _wait(self, attempt: Callable[[], T]) -> T:
        """Try until no other connection is in the way. Raises `LockNotAvailable`, `Interrupted`, and what `attempt`
        raises.
        """
        self._stop.arm()
        try:
            return until_free(
                attempt,
                seconds=self._limits.lock_retry,
                path=self._location.path,
                stopped=lambda: self._stop.reason is not None,
            )
        except sqlite3.OperationalError as exc:
            if error_name(exc) != "SQLITE_INTERRUPT":
                raise
            if self._stop.raised is not None:
                raise self._stop.raised from exc
            raise Interrupted("Stopped while looking at the database.", hint="Run the command again.") from exc
        finally:
            self._stop.disarm()

    def _read(self, read: Callable[[sqlite3.Connection], T], *, otherwise: T) -> T:
        """In one read transaction; `otherwise` where there is no file."""
        connection = self._open_waiting()
        if connection is None:
            return otherwise
        try:
            return self._wait(lambda: _in_read_transaction(connection, read))
        except sqlite3.Error as exc:
            raise unreachable(exc, path=self._location.path) from exc

    def _recall(self, read: Callable[[sqlite3.Connection], T], *, otherwise: T) -> T:
        """From Bascule's own tables; `otherwise` where there are none. Raises `Refused` when they are newer than
        this version.
        """

        def checked(connection: sqlite3.Connection) -> T:
            meta = read_meta(connection)
            if meta is None:
                return otherwise
            self._check_layout(meta)
            return read(connection)

        return self._read(checked, otherwise=otherwise)

    def _looking(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Anything; a missing file is an empty database. Raises `WorkFailed`."""
        connection = self._open_waiting()
        try:
            if connection is not None:
                return self._wait(lambda: _in_read_transaction(connection, look))
            with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
                return look(empty)
        except SENDING_ERRORS as exc:
            raise work_failed(exc, path=self._location.path) from exc

    def _write(self, doing: str, write: Callable[[sqlite3.Connection], T]) -> T:
        """In one transaction of Bascule's own, waited for. `doing` goes on after "Bascule could not"."""
        connection = self._open_waiting()
        if connection is None:
            raise Refused(f"{self._location.path} is no longer there.", code="gone", hint="Run again.")
        try:
            return self._wait(lambda: _in_write_transaction(connection, write))
        except sqlite3.Error as exc:
            raise refusal(exc, path=self._location.path, doing=doing) from exc

    def _meta(self) -> Mapping[str, str] | None:
        meta = self._read(read_meta, otherwise=None)
        if meta is not None:
            self._check_layout(meta)
        return meta

    def _check_layout(self, meta: Mapping[str, str]) -> None:
        refuse_newer(meta["layout"], what=str(self._location.path))

    def _set_up(self, connection: sqlite3.Connection) -> None:
        """Make what is missing, of the tables and of the sidecar. The database's write lock lets one process at a
        time do so.
        """

        def make(connection: sqlite3.Connection) -> None:
            meta = read_meta(connection)
            if meta is not None:
                self._check_layout(meta)
                if self._open_sidecar(meta["identity"]) is None:
                    self._make_sidecar(meta["identity"], because=_REPLACED)
                return
            identity = os.urandom(16).hex()
            create_tables(connection, identity=identity)
            # Before the commit: dying in between leaves a sidecar without a database, which the next one simply takes.
            self._make_sidecar(identity, because=_BEGUN_AGAIN, unless_empty=True)

        _in_write_transaction(connection, make)

    def _make_sidecar(self, identity: str, *, because: str, unless_empty: bool = False) -> None:
        self._close_sidecar()
        path = self._location.sidecar
        with self._sidecar_errors("make the sidecar file"):
            sidecar = create_sidecar(path, like=self._location.path.stat())
            try:
                sidecar.settle(identity, because=because, unless_empty=unless_empty)
            except BaseException:
                sidecar.close()
                raise
        self._sidecar = sidecar

    def _open_sidecar(self, identity: str) -> Sidecar | None:
        """The sidecar of the database with this identity; None when it is missing or was never finished.

        Raises:
            Refused: code ``sidecar_mismatch``: it is another database's.
        """
        if self._sidecar is None or not self._sidecar.is_current():
            self._close_sidecar()
            with self._sidecar_errors("open the sidecar file"):
                path = self._location.sidecar
                self._sidecar = until_free(lambda: open_sidecar(path), seconds=SIDECAR_WAIT, path=path)
        if self._sidecar is None or self._sidecar.identity is None:
            return None
        if self._sidecar.identity != identity:
            self._close_sidecar()
            raise self._mismatch()
        return self._sidecar

    def _from_journal(self, read: Callable[[Sidecar], T], otherwise: T, doing: str) -> T:
        """From the sidecar as it is; `otherwise` where there is none."""
        self._tell()
        meta = self._meta()
        sidecar = self._open_sidecar(meta["identity"]) if meta is not None else None
        if sidecar is None:
            return otherwise
        with self._sidecar_errors(doing):
            return read(sidecar)

    def _own_sidecar(self) -> Sidecar:
        """The sidecar for writing, made where it is missing."""
        if self._sidecar is None or self._sidecar.identity is None or not self._sidecar.is_current():
            self.prepare()
        if self._sidecar is None:
            raise Refused(
                f"{self._location.sidecar} was deleted as soon as it was made.", code="gone", hint="Run again."
            )
        return self._sidecar

    def _close_sidecar(self) -> None:
        if self._sidecar is not None:
            self._sidecar.close()
            self._sidecar = None

    def _mismatch(self) -> Refused:
        path = self._location.path
        return Refused(
            f"{self._location.sidecar.name} beside {path} belongs to another database. One of the two was probably "
            "copied, moved or restored without the other.",
            code="sidecar_mismatch",
            hint=f"Put back the {self._location.sidecar.name} that belongs to this database. If there is none, move "
            "this one away: a new one is made, without the history of runs. Which migrations are applied stands in the "
            "database itself.",
            details={"path": str(self._location.sidecar)},
        )

    def _try(self, lock: FileLock, sidecar: Sidecar) -> bool:
        deadline = time.monotonic() + _LOOKERS_WAIT
        while not lock.take():
            if sidecar.is_owner_alive() or time.monotonic() >= deadline:
                return False
            time.sleep(0.002)
        return True

    def _new_token(self, sidecar: Sidecar, *, owner: str, run: str) -> int:
        """Higher than any before, in both files; the one in the database shuts out whoever had the lease until now."""

        def write(connection: sqlite3.Connection) -> int:
            token = max(read_token(connection) or 0, sidecar.last_token()) + 1
            write_meta(connection, "token", str(token))
            # Before the commit: who finds this note and the lock free takes over from us, also if we die right here.
            sidecar.write_holder(token=token, owner=owner, run=run)
            return token

        return self._write("take the lease", write)

    def _ready(self, job: Job | None = None, *, many: bool = False) -> Performer:
        """`job`: one of statements alone; None: it may do anything. `many`: others follow."""
        if self._performer is None:
            connection = self._open_waiting()
            if connection is None:
                raise WorkFailed("fence", f"{self._location.path} is no longer there. Nothing was done.")
            self._journal_mode = JournalMode(connection, self._location.path)
            self._journal_mode.keep()
            self._performer = Performer(
                connection,
                path=self._location.path,
                stop=self._stop,
                lock_timeout=self._limits.lock_timeout,
                statement_timeout=self._limits.statement_timeout,
            )
        if self._journal_mode is not None:
            if job is None or may_set(job):
                self._journal_mode.as_the_author_has_it()
            elif many:
                self._journal_mode.hurry()
        return self._performer

    def _after(self, performer: Performer) -> None:
        if performer.broken:
            self._close_connection()

    def _performed(self, begun: float, rows: tuple[int, ...]) -> Performed:
        notices, self._notices = self._notices, ()
        return Performed(ms=_ms_since(begun), rows=rows, notices=notices)

    def _tell(self) -> None:
        """Write the facts of jobs that have committed. After the commit and without waiting for the disk: what happened
        stands in the ledger, whatever comes of this.
        """
        facts, self._untold = self._untold, ()
        if not facts:
            return
        try:
            with self._sidecar_errors("write the journal"):
                (self._sidecar or self._own_sidecar()).append(facts, durable=False)
        except BasculeError as exc:
            names = ", ".join(dict.fromkeys(fact.migration for fact in facts))
            self._notices += (f"{names}: done, but its journal could not be written. {exc.message}",)

    def _bare(
        self, statement: Statement, settings: tuple[str, ...], lease: Lease, watch: Watch | None
    ) -> tuple[int, ...]:
        """Waits longer than a transaction may: while it waits it holds nobody up."""
        deadline = time.monotonic() + self._limits.bare_lock_wait
        while True:
            performer = self._ready()
            try:
                return performer.perform_bare(statement, settings, lease, watch)
            except WorkFailed as failed:
                if failed.kind != "lock_timeout" or time.monotonic() >= deadline:
                    raise
                if watch is not None:
                    watch(Progress(phase="waiting for a lock", waiting_for=failed.blockers))
            finally:
                self._after(performer)
            time.sleep(0.05 + os.urandom(1)[0] / 2560)

    @contextlib.contextmanager
    def _sidecar_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            if is_busy(exc):
                who = ", ".join(who_locks(self._location.sidecar)) or "another connection"
                raise Refused(
                    f"Bascule could not {doing}: the sidecar file is locked by {who}.",
                    hint="Run again.",
                    code="sidecar_locked",
                ) from exc
            raise refusal(exc, path=self._location.sidecar, doing=doing) from exc


def _in_read_transaction(connection: sqlite3.Connection, read: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN")
    try:
        return read(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _in_write_transaction(connection: sqlite3.Connection, write: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        answer = write(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return answer


def _unnamed(sidecar: Sidecar, ttl: float) -> Holder:
    """Locked, and no note who it is: taken or given back this instant, or locked by a program that is not Bascule."""
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    who = ", ".join(who_locks(sidecar.path)) or "another process"
    return Holder(owner=who, run="", since=now, expires_at=now + timedelta(seconds=ttl), token=0)


def _ms_since(begun: float) -> int:
    return round((time.perf_counter() - begun) * 1000)
