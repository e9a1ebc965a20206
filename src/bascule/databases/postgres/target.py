"""A PostgreSQL database as a target. What is done where: `Session` (connection), `Performer` (jobs), `PostgresLease`
and `Keeper` (the right to do them), ``layout.sql`` and ``functions.sql`` (what is kept in the target).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from bascule.databases.postgres import memory, reconcile
from bascule.databases.postgres.aside import Aside
from bascule.databases.postgres.awake import kept_awake
from bascule.databases.postgres.connections import Connections
from bascule.databases.postgres.elsewhere import Elsewhere
from bascule.databases.postgres.errors import driver_failed, missing_driver
from bascule.databases.postgres.keeper import Keeper
from bascule.databases.postgres.layout import prepare, without_comments
from bascule.databases.postgres.lease import PostgresLease, give_back, read_holder, read_left_behind, try_acquire
from bascule.databases.postgres.message import literal
from bascule.databases.postgres.performing import Performer
from bascule.databases.postgres.session import Session
from bascule.databases.postgres.watch import look_at, process_of
from bascule.databases.postgres.wire import ask, exchange, settled
from bascule.domain.history import Fact, Holder, LedgerEntry, timed
from bascule.domain.schema import Part, Snapshot
from bascule.domain.statement import Dialect, Effect, ObjectName, Statement, Touch
from bascule.errors import BasculeError, Refused
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
)

if TYPE_CHECKING:
    import psycopg

    from bascule.databases.postgres.preimages import PostgresPreImages
    from bascule.databases.postgres.state import PostgresState
    from bascule.databases.postgres.vitals import PostgresVitals
    from bascule.domain.content import Content
    from bascule.domain.metrics import Tally

    Connection = psycopg.Connection[tuple[Any, ...]]

P = ParamSpec("P")
T = TypeVar("T")

_BOUNDED = "SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = 500; SET LOCAL row_security = off;"
"""For a look at the application's own tables, in milliseconds: whoever wants a stronger lock waits no longer for us."""


class PostgresTarget:
    """One PostgreSQL database. Connects when first asked for something."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str | Callable[[], str], options: TargetOptions) -> None:
        """`url`: ``postgresql://…``, libpq's ``key=value`` words, or a function that is asked for one of them at each
        connection. Raises `TargetUnreachable` (code ``missing_driver``).
        """
        try:
            import psycopg  # noqa: F401 - everything after this may count on it
        except ImportError as exc:
            raise missing_driver(exc) from exc
        self._url, self._options = url, options
        self._read_only = options.read_only
        self._limits = options.limits
        self._connections = Connections(url, options)
        self._schema = self._connections.quoted
        self._elsewhere = Elsewhere(options.state_url, options) if options.state_url else None
        self._performers: dict[int, Performer] = {}

    # Who answers

    def describe(self) -> TargetInfo:
        """Who answers. Raises `TargetUnreachable`."""
        return self._connections.read(lambda session: self._connections.looked(session).info(), "look at the database")

    def prepare(self) -> None:
        """Create or upgrade Bascule's own tables. Does nothing when they are right. Raises `Refused` when the role
        may not.
        """
        if self._read_only:
            raise Refused("The target was opened for reading only.", code="read_only")
        prepare(self._connections)
        if self._elsewhere is not None:
            self._elsewhere.prepare()

    def remember_environment(self, environment: str) -> None:
        """Write the target's own mark of its environment."""
        self.prepare()
        sql = settled(f"UPDATE {self._schema}.meta SET environment = {literal(environment)}")

        def write(session: Session) -> None:
            ask(session.connection, sql)
            session.look_again()

        self._connections.read(write, "write down the environment")

    # Memory

    def ledger(self) -> Sequence[LedgerEntry]:
        """Applied migrations by position; empty where Bascule never ran. Raises `Refused` (code ``newer_ledger``)."""
        return self._recall("read the ledger", memory.read_ledger) or []

    def script(self, migration: str) -> str | None:
        """The up script as it ran."""
        return self._recall("read the ledger", memory.read_script, migration)

    def marks(self) -> Mapping[tuple[str, str], Mapping[int, tuple[str, str]]]:
        """(migration, direction) → step → (digest, run id), of every script that is under way."""
        return self._recall("read the step marks", memory.read_marks) or {}

    def before(self, migration: str) -> Snapshot | None:
        """The snapshot kept by the up of that migration."""
        return self._recall("read the kept snapshot", memory.read_before, migration)

    def journal(
        self,
        *,
        migration: str | None = None,
        run_id: str | None = None,
        limit: int | None = None,
        kinds: Sequence[str] = (),
        after: int = 0,
    ) -> Sequence[Fact]:
        """As the port."""
        wanted = memory.Wanted(migration=migration, run_id=run_id, limit=limit, kinds=kinds, after=after)
        if self._elsewhere is None:
            return self._recall("read the journal", memory.read_journal, wanted, about=None) or []
        identity = self._identity()
        return self._elsewhere.journal(wanted, about=identity) if identity else []

    def tally(self, *, after: int = 0, upto: int | None = None) -> Sequence[Tally]:
        """As the port."""
        return self._recall_journal("count the journal", memory.read_tally, after=after, upto=upto) or []

    def newest_fact(self, *, older_than: float = 0.0) -> int:
        """As the port."""
        return self._recall_journal("look at the journal", memory.read_newest, older_than=older_than) or 0

    def vitals(self) -> PostgresVitals:
        """As the port."""
        from bascule.databases.postgres.vitals import PostgresVitals

        return PostgresVitals(Connections(self._url, self._options), tag=self._connections.tag)

    def append(self, facts: Sequence[Fact], *, durable: bool = True) -> None:
        """Write facts beside the change, on a connection of their own. When it returns and `durable`, they survive a
        power loss.
        """
        if not facts:
            return
        if not self._identity():
            self.prepare()
        if self._elsewhere is not None:
            self._elsewhere.append(facts, durable=durable, about=self._identity())
            return
        ascii_only = self._connections.main().ascii_only
        sql = memory.append_sql(self._schema, facts, durable=durable, about=None, ascii_only=ascii_only)
        lease = self._connections.lease
        if lease is not None and lease.held() and _asked_beside(lease, sql):
            return
        self._connections.read(lambda session: ask(session.connection, sql), "write to the journal")

    def state(self, *, beside: bool = True) -> PostgresState:
        """A door to the state store, which is where the journal is."""
        from bascule.databases.postgres.state import PostgresState

        def about() -> str:
            return self._connections.read(lambda session: self._identity_of(session), "look at the database")

        if not beside:
            shared = self._elsewhere.connections if self._elsewhere else self._connections
            return PostgresState(shared, about=about, make=self.prepare, shared=True)
        if self._elsewhere:
            return PostgresState(self._elsewhere.more(), about=about, make=self.prepare)
        own = Connections(self._url, self._options)

        def about_itself() -> str:
            return own.read(self._identity_of, "look at the database")

        return PostgresState(own, about=about_itself, make=self.prepare)

    # By hand

    def offline_setup(self) -> str:
        """SQL that comes before all scripts: it makes what `prepare` makes, where that is not there already."""
        from bascule.databases.postgres import offline

        made = "" if self.describe().prepared else offline.setup(self._connections.schema)
        return offline.SETTINGS + made

    def offline(self, change: LedgerChange, before: Touch | None) -> tuple[str, str]:
        """What a run does before a script, and the ledger's change after it, as SQL."""
        from bascule.databases.postgres import offline

        name = change.entry.name if change.entry else ""
        return offline.keep(self._connections.schema, name, before) if before else "", offline.ledger(
            self._connections.schema, change
        )

    def leaving(self, migration: str) -> Sequence[str]:
        """As the port."""
        from bascule.databases.postgres import offline

        return offline.leaving(self._connections.schema, migration)

    # Lease

    def acquire(self, *, owner: str, run: str) -> PostgresLease | Holder:
        """Try once for the lease; answer it or who holds it. Raises `NeedsPerson` where a former holder's server
        process remains.
        """
        self.prepare()
        connections, ttl = self._connections, self._limits.lease_ttl
        taken = connections.read(
            lambda session: try_acquire(
                session, schema=self._schema, owner=owner, run=run, ttl=ttl, tag=connections.tag
            ),
            "take the lease",
        )
        if isinstance(taken, Holder):
            return taken
        token, former, asked = taken
        keeper = Keeper(Aside(connections.beside), schema=self._schema, token=token, ttl=ttl, taken_at=asked)
        lease = PostgresLease(token=token, taken_from=former, keeper=keeper, give_back=self._give_back)
        try:
            connections.read(lambda _: keeper.start(), "open the second connection, which renews the lease")
        except BaseException:
            lease.release()
            raise
        connections.lease = lease
        return lease

    def holder(self) -> Holder | None:
        """Who holds the lease now; None when nobody does. Takes nothing."""
        return self._recall("look at the lease", read_holder)

    def left_behind(self) -> Holder | None:
        """Who had the lease last and is gone without having given it back."""
        return self._recall("look at the lease", read_left_behind)

    def doing(self, holder: Holder) -> Progress | None:
        """As the port: what the server process of the holder's main connection does, and whom it waits for."""
        pid = holder.backend.partition(" ")[0]
        if not pid.isdigit():
            return None
        return self._connections.recall(
            lambda session: look_at(lambda sql: ask(session.connection, sql), process_of(int(pid), "")),
            "look at what runs",
        )

    # Work

    def perform(
        self, job: Job, *, lease: Lease, watch: Watch | None = None, meanwhile: Meanwhile | None = None
    ) -> Performed:
        """One transaction, in one message. Raises `WorkFailed`."""
        own, inside = _ours(lease), self._elsewhere is None
        performer = self._performer(self._connections.main())
        done = performer.perform(
            job, token=own.token, keeper=own.keeper, facts=inside, watch=watch, meanwhile=meanwhile
        )
        if not inside:
            self.append(timed(job.facts, done.ms), durable=False)
        return done

    def perform_with(
        self, job: Job, work: Callable[[Any], None], *, lease: Lease, watch: Watch | None = None
    ) -> Performed:
        """As `perform`, with `work` in the place of the statements; it is given the ``psycopg.Connection``, in
        autocommit mode and inside a transaction.
        """
        own, inside = _ours(lease), self._elsewhere is None
        performer = self._performer(self._connections.main())
        awake = kept_awake(work, every=self._limits.idle_timeout / 3, held=own.held)
        done = performer.perform_with(job, awake, token=own.token, keeper=own.keeper, facts=inside, watch=watch)
        if not inside:
            self.append(timed(job.facts, done.ms), durable=False)
        return done

    def perform_bare(
        self,
        statement: Statement,
        *,
        settings: tuple[str, ...] = (),
        lease: Lease,
        run_id: str,
        watch: Watch | None = None,
    ) -> Performed:
        """One statement outside any transaction. Raises `WorkFailed`."""
        own = _ours(lease)
        performer = self._performer(self._connections.outside_transactions())
        return performer.bare(statement, settings=settings, run_id=run_id, keeper=own.keeper, watch=watch)

    def observe(self, effect: Effect) -> Observation:
        """Look in the catalog for a bare statement's effect."""
        return self._connections.read(lambda session: reconcile.observe(session, effect), "look in the catalog")

    def repair(self, effect: Effect, *, lease: Lease) -> str:
        """Remove a broken leftover. Raises `WorkFailed`, also where it must not be removed."""
        repairs = self._connections.read(lambda session: reconcile.repairs(session, effect), "look in the catalog")
        for sql, _ in repairs:
            statement = Statement(text=sql, index=0, line=0, offset=0)
            self.perform_bare(statement, lease=lease, run_id="repair")
        return "; ".join(words for _, words in repairs) or "nothing was left to repair"

    def snapshot(self, touch: Touch) -> Snapshot:
        """These objects, closed over what depends on them, as the catalog has them now."""
        from bascule.databases.postgres.catalog import shape_sql, snapshot, touch_json

        wanted = literal(touch_json(touch))

        def look(session: Session) -> Snapshot:
            if session.meta is not None:
                return snapshot(session.ask(f"SELECT {self._schema}.shape({wanted})")[0][0] or "{}")
            # Functions for this transaction only: looking leaves nothing behind.
            make = f"BEGIN;{without_comments(shape_sql('pg_temp'))};{session.local_path()}"
            try:
                rows = ask(session.connection, f"{make}SELECT pg_temp.shape({wanted})")
            finally:
                if not session.connection.broken:
                    exchange(session.connection, b"ROLLBACK")
            return snapshot(rows[0][0] or "{}")

        return self._connections.read(look, "look in the catalog")

    def changed_since(self, migration: str, keys: Collection[str]) -> frozenset[Part] | None:
        """As the port."""
        from bascule.databases.postgres import since

        if self._elsewhere is not None or not keys:
            return None
        return since.read(self.query(since.sql(self._schema, migration, keys)))

    def preimages(self) -> PostgresPreImages:
        """What is kept of what migrations destroyed."""
        from bascule.databases.postgres.preimages import PostgresPreImages

        return PostgresPreImages(self._connections)

    def query(
        self, sql: str, *, seconds: float | None = None, settings: Sequence[str] = ()
    ) -> Sequence[tuple[Any, ...]]:
        """Rows of a read-only statement, for diagnosis. Raises `WorkFailed` for what the server refuses."""
        return self._look(lambda connection: connection.execute(sql).fetchall(), seconds, settings)

    def contents(
        self, tables: Sequence[ObjectName], *, most: int, seconds: float, settings: Sequence[str] = ()
    ) -> Mapping[ObjectName, Content]:
        """As the port."""
        from bascule.databases.postgres.contents import read_contents

        return self._look(
            lambda connection: dict(read_contents(connection, tables, most=most, seconds=seconds)), seconds, settings
        )

    def _look(self, read: Callable[[Connection], T], seconds: float | None, settings: Sequence[str]) -> T:
        """Within a transaction that is rolled back."""
        import psycopg

        # The bounds come last: RESET may be among the settings.
        before = "".join(f"{setting}\n;" for setting in settings)
        before += "" if seconds is None else _BOUNDED.format(max(1, int(seconds * 1000)))

        def looked(session: Session) -> T:
            connection = session.connection
            exchange(connection, f"BEGIN READ ONLY;{session.local_path()}".encode())
            try:
                if before:
                    connection.execute(before.encode())
                return read(connection)
            except psycopg.Error as exc:
                if connection.broken:
                    raise
                raise driver_failed(exc) from exc
            finally:
                if not connection.broken:
                    exchange(connection, b"ROLLBACK")

        return self._connections.read(looked, "read from the database")

    def open_reader(self) -> Any:
        """A ``psycopg.Connection`` of its own in autocommit mode. Whoever asks for it closes it."""
        return self._connections.reader()

    # Broken connections, and the end

    def reconnect(self) -> None:
        """A new connection, once the server process of the old one is gone. Raises `TargetUnreachable` or
        `NeedsPerson`.
        """
        self._connections.reconnect()

    def cancel(self) -> None:
        """Stop the statement that runs now; may be called from another thread or a signal handler's thread."""
        lease = self._connections.lease
        if lease is not None:
            lease.keeper.cancel()

    def close(self) -> None:
        """Give everything back."""
        if self._connections.lease is not None:
            self._connections.lease.release()
        self._connections.close()
        if self._elsewhere is not None:
            self._elsewhere.close()

    # Inside

    def _recall(
        self, doing: str, read: Callable[Concatenate[Connection, str, P], T], *wanted: P.args, **about: P.kwargs
    ) -> T | None:
        """What one of the reading functions answers, on the main connection; None where Bascule never ran."""
        return self._connections.recall(lambda session: read(session.connection, self._schema, *wanted, **about), doing)

    def _recall_journal(self, doing: str, read: Callable[..., T], **wanted: Any) -> T | None:
        """As `_recall`, of the journal, wherever it is kept."""
        if self._elsewhere is None:
            return self._recall(doing, read, about=None, **wanted)
        identity = self._identity()
        return self._elsewhere.recall(doing, read, about=identity, **wanted) if identity else None

    def _identity(self) -> str:
        """The target's own, from what it said about itself; empty where Bascule never ran."""
        meta = self._connections.main().meta
        return str(meta["identity"]) if meta else ""

    def _identity_of(self, session: Session) -> str:
        if session.meta is None:
            session.look_again()
        return str(session.meta["identity"]) if session.meta else ""

    def _performer(self, session: Session) -> Performer:
        performer = self._performers.get(id(session))
        if performer is None or performer.session is not session:
            connections = self._connections
            self._performers = {key: each for key, each in self._performers.items() if not each.session.broken}
            performer = Performer(session, schema=self._schema, tag=connections.tag, limits=self._limits)
            self._performers[id(session)] = performer
        return performer

    def _give_back(self, lease: PostgresLease) -> None:
        connections = self._connections
        if connections.lease is lease:
            connections.lease = None
        session = None if connections.is_lost() else connections.main()
        give_back(session, lease.keeper, schema=self._schema, token=lease.token)
        connections.close_direct()


def _ours(lease: Lease) -> PostgresLease:
    if not isinstance(lease, PostgresLease):
        raise TypeError(f"a lease of another target: {lease!r}")
    return lease


def _asked_beside(lease: PostgresLease, sql: str) -> bool:
    """Done on the second connection. Where it was not, the main connection is tried, which says what is wrong."""
    import psycopg

    try:
        lease.keeper.ask(sql)
    except (psycopg.Error, BasculeError, TimeoutError):
        return False
    return True
