"""The connections of one target: the main one, one past the pooler where there is one, and what becomes of lost ones.

The rule that everything here serves: a server process outlives its client, so nobody goes on after a loss before the
lost connection's server process is gone.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bascule.databases.postgres.door import PATIENCE, Door
from bascule.databases.postgres.errors import refusal, unreachable
from bascule.databases.postgres.farewell import see_off
from bascule.databases.postgres.keeper import now
from bascule.databases.postgres.message import identifier, literal
from bascule.databases.postgres.meta import refuse_newer, refuse_stranger
from bascule.databases.postgres.session import Session, read_plainly
from bascule.databases.postgres.wire import ask, exchange, settled
from bascule.errors import ConfigError, TargetUnreachable
from bascule.ports.database import TargetOptions

if TYPE_CHECKING:
    import psycopg

    from bascule.databases.postgres.lease import PostgresLease

    Connection = psycopg.Connection[tuple[Any, ...]]

T = TypeVar("T")

FRESH: Final = 2.0
"""Seconds for which what the target said about itself is not asked again."""
_PASSING: Final = ("unreachable", "not_ready", "too_many_connections", "unknown_host")
"""Codes of refusals that a server which comes back ends."""
# A copy of a whole cluster keeps its number; hardly anybody runs both behind one name. Some services do not tell it.
_IDENTITY: Final = """SELECT
  CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
    THEN (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) END,
  (SELECT oid FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()),
  pg_catalog.current_database(),
  pg_catalog.pg_is_in_recovery()"""


class Connections:
    """Opened when they are needed."""

    def __init__(self, url: str | Callable[[], str], options: TargetOptions) -> None:
        self.schema = options.schema
        self.quoted = identifier(options.schema)
        self.limits = options.limits
        # Tells this process's sessions from everybody else's, whatever number its server processes have.
        self.tag = os.urandom(5).hex()
        self.lease: PostgresLease | None = None
        """The one that the work on these connections is done under."""
        self._search_path = options.search_path
        past_pooler = options.direct_url or url
        check = self._require_the_same if options.direct_url else None
        self._door = Door(url, application=options.application, tag=self.tag)
        self._past_pooler = (
            Door(past_pooler, application=options.application, tag=self.tag, check=check)
            if options.direct_url
            else None
        )
        # Another tag: what it does is not the work that has to be gone before somebody else may begin.
        self.beside = Door(past_pooler, application=options.application, tag=self.tag + "+", check=check)
        self._identity: tuple[str | None, ...] = ()
        """What `_IDENTITY` answers on the main connection, once it was asked."""
        self._main: Session | None = None
        self._direct: Session | None = None
        self._lost: list[Session] = []
        """Whose server processes nobody has seen off yet."""
        self._looked_at = 0.0

    # Sessions

    def main(self) -> Session:
        """The main session, opened again where it was lost. Raises `TargetUnreachable`, `NeedsPerson`."""
        if self._main is None and not self._lost:
            self._main = self._open(self._door, PATIENCE)
        elif self._main is None or self._main.broken:
            self.reconnect()
        assert self._main is not None, "reconnect opens one or raises"
        return self._main

    def outside_transactions(self) -> Session:
        """The session for what no transaction protects: past the pooler, where a way past it is known."""
        main = self.main()
        if self._past_pooler is None or not main.pooled:
            return main
        if self._direct is not None and self._direct.broken:
            self.reconnect()
        if self._direct is None:
            self._direct = self._open(self._past_pooler, PATIENCE)
            if self.lease is not None:
                self._adopt(self._direct, self.lease)
        return self._direct

    def is_lost(self) -> bool:
        """A server process may be at work for us, or may not, without anybody having looked."""
        return bool(self._lost) or any(session.broken for session in (self._main, self._direct) if session is not None)

    def reader(self) -> Connection:
        """A connection of its own. Raises `TargetUnreachable`."""
        connection = self._door.open()
        read_plainly(connection)
        if self._search_path is not None and not self.main().pooled:
            exchange(
                connection, f"SELECT pg_catalog.set_config('search_path', {literal(self._search_path)}, false)".encode()
            )
        return connection

    def reconnect(self) -> None:
        """A new main connection, once the server processes of lost ones are gone (waited for, then terminated).

        Raises:
            TargetUnreachable: no server to be reached in the time that the limits give.
            NeedsPerson: a server process does not go.
        """
        if self._main is not None:
            self._lost.append(self._main)
        if self._direct is not None and self._direct.broken:
            self._lost.append(self._direct)
            self._direct = None
        self._main = None
        for session in self._lost:
            session.close()
        new = self._open_again(was_primary=any(not session.standby for session in self._lost))
        try:
            if self.lease is not None:
                self._see_off(new)
                self._adopt(self._direct or new, self.lease)
        except BaseException:
            new.close()
            raise
        self._lost.clear()
        self._main = new

    def close_direct(self) -> None:
        """Hang up on the way past the pooler."""
        if self._direct is not None:
            self._direct.close()
            self._direct = None

    def close(self) -> None:
        """Hang up on everything."""
        self.close_direct()
        if self._main is not None:
            self._main.close()
        self._main = None

    # Reading, which can be done again

    def read(self, act: Callable[[Session], T], doing: str) -> T:
        """Do something that can be done again, on a new connection where the old one turns out to be broken.

        `doing` goes on after "Bascule could not". Raises what `main` raises, and `Refused` for what the server refuses.
        """
        import psycopg

        for last in (False, True):
            session = self.main()
            try:
                return act(session)
            except psycopg.Error as exc:
                if session.broken:
                    session.close()
                    if not last:
                        continue
                    raise unreachable(str(exc), where=self._door.where(), user=session.user) from exc
                raise refusal(
                    exc, schema=self.schema, user=session.user, database=session.database, doing=doing
                ) from exc
        raise AssertionError("the second try returns or raises")

    def recall(self, act: Callable[[Session], T], doing: str) -> T | None:
        """As `read`, from Bascule's own tables; None where there are none. Raises `Refused` (code ``newer_ledger``)."""
        import psycopg

        def act_if_there(session: Session) -> T | None:
            if session.meta is None:
                session.look_again()
            if session.meta is None:
                return None
            refuse_newer(session.meta, self.schema)
            stranger = session.meta.get("stranger")
            # Reading lends nobody anything but an administrator's rights.
            refuse_stranger(stranger if stranger and stranger["lends"] else None, self.schema)
            try:
                return act(session)
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                session.look_again()
                if session.meta is not None:
                    raise
                return None

        return self.read(act_if_there, doing)

    def looked(self, session: Session) -> Session:
        """The session, with what the target says about itself not older than `FRESH`."""
        if time.monotonic() - self._looked_at > FRESH:
            session.look_again()
            self._looked_at = time.monotonic()
        return session

    # Inside

    def _open(self, door: Door, patience: float) -> Session:
        import psycopg

        try:
            session = Session(door, schema=self.schema, search_path=self._search_path, patience=patience)
        except psycopg.Error as exc:
            if exc.sqlstate is None:
                raise unreachable(str(exc), where=door.where()) from exc
            raise refusal(
                exc, schema=self.schema, user=door.user, database=door.database, doing="look at the database"
            ) from exc
        self._looked_at = time.monotonic()
        return session

    def _require_the_same(self, connection: Connection) -> None:
        """What was opened past the pooler has to be the database behind it. Raises ConfigError, psycopg.Error.

        The first time is while a lease is being taken, when nothing else is under way on the main connection.
        """
        if not self._identity:
            self._identity = ask(self.main().connection, _IDENTITY)[0]
        found = ask(connection, _IDENTITY)[0]
        if found == self._identity:
            return
        *ours, our_standby = self._identity
        *its, its_standby = found
        door, where = self.beside, self._door.where()
        if ours == its and its_standby == "t" and our_standby == "f":
            what, hint = "a standby of it, which cannot be written", "Name the primary there"
        else:
            what, hint = "another database", "Name the same database there, past the pooler"
        raise ConfigError(
            f"direct_url (MIGRATION_DIRECT_URL) leads to {door.where()}, and the address of the target "
            f"(DATABASE_URL) to {where}, database {self._identity[2]}: that is {what}. Nothing was started.",
            code="two_databases",
            hint=f"{hint}, or take the setting away.",
            details={"setting": "direct_url", "location": where, "direct": door.where()},
        )

    def _open_again(self, *, was_primary: bool) -> Session:
        until = time.monotonic() + self.limits.reconnect
        pause = 0.05
        while True:
            try:
                session = self._open(self._door, min(1.0, self.limits.reconnect))
            except TargetUnreachable as exc:
                if exc.code not in _PASSING:
                    raise
                problem = exc
            else:
                if not (was_primary and session.standby):
                    return session
                session.close()
                problem = TargetUnreachable(
                    f"{self._door.where()} is a standby now, which cannot be written.",
                    code="read_only",
                    hint="Run again when the new primary answers there.",
                )
            if time.monotonic() + pause > until:
                raise problem
            time.sleep(pause * (0.5 + random.random()))
            pause = min(pause * 2, 1.0)

    def _see_off(self, new: Session) -> None:
        for session in self._lost:
            who = f"{session.pid}, {literal(session.start or None)}::timestamptz, NULL, NULL"
            if session.pooled:
                who = f"NULL, NULL, {literal(self.tag)}, NULL"
            see_off(new.connection, f"SELECT {self.quoted}.workers({who})", "the lost connection")

    def _adopt(self, session: Session, lease: PostgresLease) -> None:
        """Write down which server process does the lease's work from now on, which renews it too."""
        if lease.keeper.is_lost():
            return
        asked = now()
        pid = "NULL" if session.pooled else str(session.pid)
        ttl = f"'{self.limits.lease_ttl} seconds'"
        answer = ask(session.connection, settled(f"SELECT {self.quoted}.adopt({lease.token}, {ttl}, {pid})"))
        if answer[0][0] == "t":
            lease.keeper.renewed(asked)
        else:
            lease.keeper.lost()
