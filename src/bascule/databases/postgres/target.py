"""A PostgreSQL database as a target. What is done where: `Session` (connection), `Performer` (jobs), `PostgresLease`
and `Keeper` (the right to do them), ``layout.sql`` and ``functions.sql`` (what is kept in the target).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bascule.databases.postgres import memory, reconcile
from bascule.databases.postgres.aside import Aside
from bascule.databases.postgres.door import Door
from bascule.databases.postgres.errors import driver_failed, missing_driver, refusal, unreachable
from bascule.databases.postgres.farewell import see_off
from bascule.databases.postgres.keeper import Keeper, now
from bascule.databases.postgres.layout import install, is_current, refuse_newer
from bascule.databases.postgres.lease import PostgresLease, give_back, holder_of, try_acquire
from bascule.databases.postgres.message import identifier, literal
from bascule.databases.postgres.performing import Performer
from bascule.databases.postgres.session import Session
from bascule.databases.postgres.wire import ask, exchange, settled
from bascule.domain.history import Fact, Holder, LedgerEntry
from bascule.domain.schema import Snapshot
from bascule.domain.statement import Dialect, Effect, Statement, Touch
from bascule.errors import BasculeError, Refused, TargetUnreachable
from bascule.ports.database import (
    Job,
    Lease,
    LedgerChange,
    Observation,
    Performed,
    TargetInfo,
    TargetOptions,
    Watch,
    WorkFailed,
)

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

T = TypeVar("T")

FRESH: Final = 2.0
"""Seconds for which what the target said about itself is not asked again."""


class PostgresTarget:
    """One PostgreSQL database. Connects when first asked for something."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str | Callable[[], str], options: TargetOptions) -> None:
        """`url`: ``postgresql://…``, libpq's ``key=value`` words, or a function that is asked for one of them at each
        connection.
        """
        try:
            import psycopg  # noqa: F401 - everything after this may count on it
        except ImportError as exc:
            raise missing_driver(exc) from exc
        self._options = options
        self._limits = options.limits
        self._schema = options.schema
        self._own = identifier(options.schema)
        # Tells this process's sessions from everybody else's, whatever number its server processes have.
        self._tag = os.urandom(5).hex()
        self._door = Door(url, application=options.application, tag=self._tag)
        past_pooler = options.direct_url or url
        self._aside_door = Door(past_pooler, application=options.application, tag=self._tag + "+")
        self._bare_door = (
            Door(past_pooler, application=options.application, tag=self._tag) if options.direct_url else None
        )
        self._session: Session | None = None
        self._looked_at = 0.0
        self._performer: Performer | None = None
        self._bare: Performer | None = None
        self._lease: PostgresLease | None = None
        self._elsewhere = Elsewhere(options) if options.state_url else None

    # ---- who answers
    # -------------------------------------------------------------------------------------------------

    def describe(self) -> TargetInfo:
        """Who answers. Raises `TargetUnreachable`."""
        return self._read(lambda session: self._seen(session).info(), "look at the database")

    def prepare(self) -> None:
        """Create or upgrade Bascule's own tables. Does nothing when they are right. Raises `Refused` when the role
        may not.
        """
        self._refuse_read_only()
        session = self._main()
        if not is_current(session.meta, self._schema):
            self._read(self._install, f"make its schema {self._schema}")
        if self._elsewhere is not None:
            self._elsewhere.prepare()

    def remember_environment(self, environment: str) -> None:
        """Write the target's own mark of its environment."""
        self.prepare()
        sql = settled(f"UPDATE {self._own}.meta SET environment = {literal(environment)}")
        self._read(lambda session: ask(session.connection, sql), "write down the environment")
        self._main().look_again()

    # ---- memory
    # ------------------------------------------------------------------------------------------------------

    def ledger(self) -> Sequence[LedgerEntry]:
        """Applied migrations by position; empty where Bascule never ran. Raises `Refused` (code ``newer_ledger``)."""
        return self._recall(lambda session: memory.read_ledger(session.connection, self._own), "read the ledger") or []

    def script(self, migration: str) -> str | None:
        """The up script as it ran."""
        return self._recall(
            lambda session: memory.read_script(session.connection, self._own, migration), "read the ledger"
        )

    def marks(self) -> Mapping[tuple[str, str], Mapping[int, tuple[str, str]]]:
        """(migration, direction) → step → (digest, run id), of every script that is under way."""
        return (
            self._recall(lambda session: memory.read_marks(session.connection, self._own), "read the step marks") or {}
        )

    def before(self, migration: str) -> Snapshot | None:
        """The snapshot kept by the up of that migration."""
        return self._recall(
            lambda session: memory.read_before(session.connection, self._own, migration), "read the kept snapshot"
        )

    def journal(
        self,
        *,
        migration: str | None = None,
        run_id: str | None = None,
        limit: int | None = None,
        kinds: Sequence[str] = (),
    ) -> Sequence[Fact]:
        """Facts, oldest first; with `limit` the newest that many."""

        def read(session: Session) -> list[Fact]:
            place, about = session.connection, None
            if self._elsewhere is not None:
                place, about = self._elsewhere.connection(), self._identity(session)
            return memory.read_journal(
                place, self._own, about=about, migration=migration, run_id=run_id, limit=limit, kinds=kinds
            )

        return self._recall(read, "read the journal") or []

    def append(self, facts: Sequence[Fact], *, durable: bool = True) -> None:
        """Write facts beside the change, on a connection of their own. When it returns and `durable`, they survive a
        power loss.
        """
        if not facts:
            return
        if not self._main().meta:
            self.prepare()
        if self._elsewhere is not None:
            self._elsewhere.append(facts, durable=durable, about=self._identity(self._main()))
            return
        sql = memory.append_sql(self._own, facts, durable=durable, about=None)
        lease = self._lease
        if lease is not None and lease.held() and self._append_aside(lease, sql):
            return
        self._read(lambda session: ask(session.connection, sql), "write to the journal")

    # ---- by hand
    # -----------------------------------------------------------------------------------------------------

    def offline_setup(self) -> str:
        """SQL that makes what `prepare` makes; empty where it is there already."""
        from bascule.databases.postgres import offline

        return "" if self.describe().prepared else offline.setup(self._schema)

    def offline(self, change: LedgerChange, before: Touch | None) -> tuple[str, str]:
        """What a run does before a script, and the ledger's change after it, as SQL."""
        from bascule.databases.postgres import offline

        name = change.entry.name if change.entry else ""
        return offline.keep(self._schema, name, before) if before else "", offline.ledger(self._schema, change)

    # ---- lease
    # -------------------------------------------------------------------------------------------------------

    def acquire(self, *, owner: str, run: str) -> PostgresLease | Holder:
        """Try once for the lease; answer it or who holds it. Raises `NeedsPerson` where a former holder's server
        process remains.
        """
        self.prepare()
        ttl = self._limits.lease_ttl

        def take(session: Session) -> tuple[int, Holder | None, float] | Holder:
            return try_acquire(session, schema=self._own, owner=owner, run=run, ttl=ttl, tag=self._tag)

        taken = self._read(take, "take the lease")
        if isinstance(taken, Holder):
            return taken
        token, former, asked = taken
        keeper = Keeper(Aside(self._aside_door), schema=self._own, token=token, ttl=ttl, taken_at=asked)
        lease = PostgresLease(token=token, taken_from=former, keeper=keeper, give_back=self._give_back)
        try:
            self._read(lambda _: keeper.start(), "open the second connection, which renews the lease")
        except BaseException:
            lease.release()
            raise
        self._lease = lease
        return lease

    def holder(self) -> Holder | None:
        """Who holds the lease now; None when nobody does. Takes nothing."""
        sql = (
            f"SELECT {self._own}.holder_words(l) FROM {self._own}.lease AS l WHERE name = 'target' AND owner IS NOT NULL "
            f"AND expires_at > pg_catalog.clock_timestamp() AND NOT {self._own}.is_orphaned(l)"
        )

        def look(session: Session) -> Holder | None:
            import json

            rows = ask(session.connection, sql)
            return holder_of(json.loads(rows[0][0] or "{}")) if rows else None

        return self._recall(look, "look at the lease")

    # ---- work
    # --------------------------------------------------------------------------------------------------------

    def perform(
        self, job: Job, *, lease: Lease, watch: Watch | None = None, meanwhile: Callable[[], None] | None = None
    ) -> Performed:
        """One transaction, in one message. Raises `WorkFailed`."""
        own = self._ours(lease)
        performer = self._performing()
        inside = self._elsewhere is None
        done = performer.perform(
            job, token=own.token, keeper=own.keeper, facts=inside, watch=watch, meanwhile=meanwhile
        )
        if not inside and job.facts:
            self.append(job.facts, durable=False)
        return done

    def perform_with(
        self, job: Job, work: Callable[[Any], None], *, lease: Lease, watch: Watch | None = None
    ) -> Performed:
        """As `perform`, with `work` in the place of the statements; it is given the ``psycopg.Connection``, in
        autocommit mode and inside a transaction.
        """
        own = self._ours(lease)
        performer = self._performing()
        inside = self._elsewhere is None
        done = performer.perform_with(job, work, token=own.token, keeper=own.keeper, facts=inside, watch=watch)
        if not inside and job.facts:
            self.append(job.facts, durable=False)
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
        own = self._ours(lease)
        if own.keeper.is_lost():
            raise WorkFailed("fence", "the lease is no longer ours")
        performer = self._performing_bare(own)
        return performer.bare(statement, settings=settings, run_id=run_id, keeper=own.keeper, watch=watch)

    def observe(self, effect: Effect) -> Observation:
        """Look in the catalog for a bare statement's effect."""
        return self._read(lambda session: reconcile.observe(self._asking(session), effect), "look in the catalog")

    def repair(self, effect: Effect, *, lease: Lease) -> str:
        """Remove a broken leftover. Raises `WorkFailed`, also where it must not be removed."""
        repairs = self._read(lambda session: reconcile.repairs(self._asking(session), effect), "look in the catalog")
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
                return snapshot(self._asking(session)(f"SELECT {self._own}.shape({wanted})")[0][0] or "{}")
            # Functions for this transaction only: looking leaves nothing behind.
            local = self._local(session)
            try:
                rows = ask(session.connection, f"BEGIN;{shape_sql('pg_temp')};{local}SELECT pg_temp.shape({wanted})")
            finally:
                if not session.connection.broken:
                    exchange(session.connection, b"ROLLBACK")
            return snapshot(rows[0][0] or "{}")

        return self._read(look, "look in the catalog")

    def query(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """Rows of a read-only statement, for diagnosis. Raises `WorkFailed` for what the server refuses."""
        import psycopg

        def rows(session: Session) -> list[tuple[Any, ...]]:
            connection = session.connection
            exchange(connection, f"BEGIN READ ONLY;{self._local(session)}".encode())
            try:
                return connection.execute(sql).fetchall()
            except psycopg.Error as exc:
                if connection.broken:
                    raise
                raise driver_failed(exc) from exc
            finally:
                if not connection.broken:
                    exchange(connection, b"ROLLBACK")

        return self._read(rows, "read from the database")

    def open_reader(self) -> Any:
        """A ``psycopg.Connection`` of its own in autocommit mode. Whoever asks for it closes it."""
        connection = self._door.open()
        if self._options.search_path is not None and not self._main().pooled:
            exchange(
                connection,
                f"SELECT pg_catalog.set_config('search_path',{literal(self._options.search_path)},false)".encode(),
            )
        return connection

    # ---- broken connections
    # ------------------------------------------------------------------------------------------

    def reconnect(self) -> None:
        """A new connection, once the server process of the old one is gone. Raises `TargetUnreachable` or
        `NeedsPerson`.
        """
        old = [
            performer.session
            for performer in (self._bare, self._performer)
            if performer is not None and performer.session.broken
        ]
        if self._session is not None and self._session not in old:
            old.append(self._session)
        for session in old:
            session.close()
        was_primary = any(not session.standby for session in old)
        self._bare = self._performer = self._session = None
        new = self._open_again(was_primary)
        try:
            if self._lease is not None:
                self._see_off(new, old)
                self._adopt(new, self._lease)
        except BaseException:
            new.close()
            # Kept, so that the next try knows whom to see off.
            self._session = old[-1] if old else None
            raise
        self._session = new

    def cancel(self) -> None:
        """Stop the statement that runs now; may be called from another thread or a signal handler's thread."""
        lease = self._lease
        if lease is not None:
            lease.keeper.cancel()

    def close(self) -> None:
        """Give everything back."""
        if self._lease is not None:
            self._lease.release()
        for performer in (self._bare, self._performer):
            if performer is not None:
                performer.session.close()
        if self._session is not None:
            self._session.close()
        if self._elsewhere is not None:
            self._elsewhere.close()
        self._session = self._performer = self._bare = None

    # ---- inside
    # ------------------------------------------------------------------------------------------------------

    def _main(self) -> Session:
        """The main session, opened or opened again where it was lost."""
        if self._session is None:
            self._session = self._opened(None)
        elif self._session.broken or self._session.connection.closed:
            self.reconnect()
        assert self._session is not None, "reconnect opens one or raises"
        return self._session

    def _opened(self, patience: float | None) -> Session:
        import_error: type[Exception]
        import psycopg

        try:
            session = Session(self._door, schema=self._schema, search_path=self._options.search_path, patience=patience)
        except psycopg.Error as exc:
            if getattr(exc, "sqlstate", None) is None:
                raise unreachable(str(exc), where=self._door.where()) from exc
            raise refusal(exc, schema=self._schema, user="", database="", doing="look at the database") from exc
        self._looked_at = time.monotonic()
        return session

    def _open_again(self, was_primary: bool) -> Session:
        until = time.monotonic() + self._limits.reconnect
        pause = 0.05
        while True:
            try:
                session = self._opened(min(1.0, self._limits.reconnect))
                if not (was_primary and session.standby):
                    return session
                session.close()
                problem = TargetUnreachable(
                    f"{self._door.where()} is a standby now, which cannot be written.",
                    code="read_only",
                    hint="Wait for the new primary.",
                )
            except TargetUnreachable as exc:
                if exc.code not in ("unreachable", "not_ready", "too_many_connections", "unknown_host"):
                    raise
                problem = exc
            if time.monotonic() + pause > until:
                raise problem
            time.sleep(pause * (0.5 + random.random()))
            pause = min(pause * 2, 1.0)

    def _see_off(self, new: Session, old: Sequence[Session]) -> None:
        for session in old:
            pid, start, tag = str(session.pid), literal(session.start or None), "NULL"
            if session.pooled:
                pid, start, tag = "NULL", "NULL", literal(self._tag)
            see_off(
                new.connection, f"SELECT {self._own}.workers({pid},{start}::timestamptz,{tag})", "the lost connection"
            )

    def _adopt(self, new: Session, lease: PostgresLease) -> None:
        if not lease.held() and lease.keeper.is_lost():
            return
        asked = now()
        pid = "NULL" if new.pooled else str(new.pid)
        answer = ask(
            new.connection, settled(f"SELECT {self._own}.adopt({lease.token},'{self._limits.lease_ttl} seconds',{pid})")
        )
        if answer[0][0] == "t":
            lease.keeper.renewed(asked)
        else:
            lease.keeper.lost()

    def _performing(self) -> Performer:
        session = self._main()
        if self._performer is None or self._performer.session is not session:
            self._performer = Performer(session, schema=self._schema, tag=self._tag, limits=self._limits)
        return self._performer

    def _performing_bare(self, lease: PostgresLease) -> Performer:
        """On the way past the pooler where there is one."""
        if self._bare_door is None or not self._main().pooled:
            return self._performing()
        if self._bare is not None and self._bare.session.broken:
            self.reconnect()
        if self._bare is None:
            session = Session(self._bare_door, schema=self._schema, search_path=self._options.search_path)
            self._bare = Performer(session, schema=self._schema, tag=self._tag, limits=self._limits)
            if not session.pooled:
                self._adopt(session, lease)
        return self._bare

    def _ours(self, lease: Lease) -> PostgresLease:
        if not isinstance(lease, PostgresLease):
            raise TypeError(f"a lease of another target: {lease!r}")
        return lease

    def _give_back(self, lease: PostgresLease) -> None:
        broken = [
            performer.session
            for performer in (self._bare, self._performer)
            if performer is not None and performer.session.broken
        ]
        session = broken[0] if broken else self._session
        if self._lease is lease:
            self._lease = None
        if session is not None:
            give_back(session, lease.keeper, schema=self._own, token=lease.token)
        if self._bare is not None:
            self._bare.session.close()
            self._bare = None

    def _append_aside(self, lease: PostgresLease, sql: str) -> bool:
        import psycopg

        try:
            lease.keeper.ask(sql)
        except (psycopg.Error, BasculeError, TimeoutError):
            return False  # the main connection is tried, and says what is wrong
        return True

    def _refuse_read_only(self) -> None:
        if self._options.read_only:
            raise Refused("The target was opened for reading only.", code="read_only")

    def _install(self, session: Session) -> None:
        import psycopg

        if session.standby:
            raise Refused(
                f"{self._door.where()} is a standby, which cannot be written.",
                code="read_only",
                hint="Use the address of the primary.",
            )
        try:
            install(session.connection, self._schema)
        except psycopg.errors.InsufficientPrivilege:
            # Another role's functions that only differ in their bodies do as well.
            if session.meta is None or session.meta["layout"] < 1:
                raise
        session.look_again()

    def _seen(self, session: Session) -> Session:
        if time.monotonic() - self._looked_at > FRESH:
            session.look_again()
            self._looked_at = time.monotonic()
        return session

    def _identity(self, session: Session) -> str:
        return str(session.meta["identity"]) if session.meta else ""

    def _local(self, session: Session) -> str:
        """The search path, where it cannot be the session's."""
        if session.search_path is None or not session.pooled:
            return ""
        return f"SELECT pg_catalog.set_config('search_path',{literal(session.search_path)},true);"

    def _asking(self, session: Session) -> Callable[[str], list[tuple[str | None, ...]]]:
        local = self._local(session)
        if not local:
            return lambda sql: ask(session.connection, sql)
        return lambda sql: ask(session.connection, f"BEGIN;{local}{sql};COMMIT")

    def _recall(self, act: Callable[[Session], T], doing: str) -> T | None:
        """Read from Bascule's own tables; None where there are none."""
        import psycopg

        def read(session: Session) -> T | None:
            if session.meta is None:
                session.look_again()
            if session.meta is None:
                return None
            refuse_newer(session.meta, self._schema)
            try:
                return act(session)
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                session.look_again()
                if session.meta is not None:
                    raise
                return None

        return self._read(read, doing)

    def _read(self, act: Callable[[Session], T], doing: str) -> T:
        """Do something that can be done again, on a new connection where the old one turns out to be broken."""
        import psycopg

        for last in (False, True):
            session = self._main()
            try:
                return act(session)
            except psycopg.Error as exc:
                if session.connection.broken or session.connection.closed:
                    session.close()
                    if not last:
                        continue
                    raise unreachable(str(exc), where=self._door.where(), user=session.user) from exc
                raise refusal(
                    exc, schema=self._schema, user=session.user, database=session.database, doing=doing
                ) from exc
        raise AssertionError("the second try returns or raises")


class Elsewhere:
    """Another PostgreSQL for the journal."""

    def __init__(self, options: TargetOptions) -> None:
        self._options = options
        self._target: PostgresTarget | None = None

    def prepare(self) -> None:
        """Make Bascule's tables there."""
        self._place().prepare()

    def connection(self) -> Connection:
        """For reading."""
        place = self._place()
        place.prepare()
        return place._main().connection

    def append(self, facts: Sequence[Fact], *, durable: bool, about: str) -> None:
        """Write facts about the database of this identity."""
        place = self._place()
        place.prepare()
        sql = memory.append_sql(place._own, facts, durable=durable, about=about)
        place._read(lambda session: ask(session.connection, sql), "write to the journal")

    def close(self) -> None:
        """Hang up."""
        if self._target is not None:
            self._target.close()
            self._target = None

    def _place(self) -> PostgresTarget:
        if self._target is None:
            options = self._options
            assert options.state_url is not None, "made only where there is one"
            self._target = PostgresTarget(
                options.state_url,
                TargetOptions(schema=options.schema, limits=options.limits, application=options.application),
            )
        return self._target
