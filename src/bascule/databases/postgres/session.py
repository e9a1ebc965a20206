"""One connection with what must be known about the server process behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.door import Door
from bascule.databases.postgres.message import CLEAR_TRACES, literal
from bascule.databases.postgres.meta import look_sql, parsed
from bascule.databases.postgres.wire import FATAL_ERROR, ask, exchange
from bascule.errors import Refused
from bascule.ports.database import TargetInfo

if TYPE_CHECKING:
    import psycopg
    from psycopg import Connection as AnyConnection

    Connection = AnyConnection[tuple[Any, ...]]

CHECK_MILLISECONDS: Final = "1000"
"""How often a server process that is at work looks whether its client is still there."""

# Behind a pooler the server process is another one than that whose number was given at login, and a setting made for
# the session would stay with whoever gets it next.
_LOOK: Final = """SELECT
  pg_catalog.pg_backend_pid(),
  (SELECT pg_catalog.to_json(backend_start) #>> '{{}}'
    FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())),
  pg_catalog.current_database(),
  current_user,
  pg_catalog.current_setting('server_version_num'),
  pg_catalog.pg_is_in_recovery(),
  pg_catalog.current_setting('bascule.meta', true),
  CASE WHEN pg_catalog.version() ~ 'linux' THEN
    CASE WHEN pg_catalog.pg_backend_pid() = {pid}
      THEN pg_catalog.set_config('client_connection_check_interval', {check}, false) ELSE '' END END,
  CASE WHEN pg_catalog.pg_backend_pid() = {pid} THEN pg_catalog.set_config('idle_session_timeout', '0', false) END,
  CASE WHEN pg_catalog.pg_backend_pid() = {pid} AND {path}::text IS NOT NULL
    THEN pg_catalog.set_config('search_path', {path}, false) END"""
_CLEAN = ("RESET SESSION AUTHORIZATION;", "RESET ROLE;", "RESET ALL;")
_CLEAR_TRACES = "".join((*CLEAR_TRACES, "DEALLOCATE ALL;")).encode()
_MOST_NOTICES = 1000


def read_plainly(connection: Connection) -> None:
    """A backslash in a string is to be a backslash, whatever the role's or the database's default. Raises
    psycopg.Error. Sends nothing where it is so, which the server told at login.
    """
    if connection.info.parameter_status("standard_conforming_strings") == "off":
        ask(connection, "SELECT pg_catalog.set_config('standard_conforming_strings', 'on', false)")


class Session:
    """A connection, the server process at its other end, and what the target said about itself when it was opened."""

    def __init__(self, door: Door, *, schema: str, search_path: str | None, patience: float) -> None:
        """Connect and look, in one message. Raises `TargetUnreachable`, and psycopg.Error when the server refuses to
        answer.
        """
        self._schema = schema
        self._door = door
        self.search_path = search_path
        self.connection: Connection = door.open(patience=patience)
        self.notices: list[str] = []
        self.traces_of: tuple[str, str] | None = None
        """The script that may have left in this session what RESET ALL does not clear."""
        try:
            self._look(search_path)
        except BaseException:
            self.connection.close()
            raise
        self.connection.add_notice_handler(self._noticed)

    @property
    def broken(self) -> bool:
        """The connection is lost, or closed because nobody knew what it was doing."""
        return self.connection.closed or self.connection.broken

    def look_again(self) -> None:
        """Ask for Bascule's words about itself anew. Raises psycopg.Error."""
        row = ask(
            self.connection, f"{look_sql(self._schema)}; SELECT pg_catalog.current_setting('bascule.meta', true)"
        )[0]
        self.meta = parsed(row[0])

    def _look(self, search_path: str | None) -> None:
        pid = self.connection.info.backend_pid
        look = _LOOK.format(pid=pid, path=literal(search_path), check=literal(CHECK_MILLISECONDS))
        number, start, database, user, version, standby, meta, can_check, _, wanted_path = ask(
            self.connection, f"{look_sql(self._schema)}; {look}"
        )[0]
        self.pid = int(number or 0)
        self.start = start or ""
        """When the server process began, ISO 8601; empty where the server does not tell."""
        self.pooled = self.pid != pid
        self.database, self.user = database or "", user or ""
        self.version = int(version or 0)
        self.standby = standby == "t"
        encoding = self.connection.info.parameter_status("server_encoding")
        self.ascii_only = encoding not in ("UTF8", "SQL_ASCII")
        """The server's encoding does not have every character."""
        self.counts_bytes = encoding == "SQL_ASCII"
        """The server tells positions in bytes, not in characters."""
        self.meta = parsed(meta)
        # Other systems cannot tell that a client is gone without reading from it, and refuse the setting.
        check = None if can_check is None else CHECK_MILLISECONDS
        self.own_check = check if self.pooled else None
        """What each transaction has to set for itself."""
        again = []
        if check is not None and not self.pooled:
            again.append(f"pg_catalog.set_config('client_connection_check_interval',{literal(check)},false)")
        if not self.pooled:
            again.append("pg_catalog.set_config('idle_session_timeout','0',false)")
        if self._reads_backslashes():
            again.append("pg_catalog.set_config('standard_conforming_strings','on',false)")
        if wanted_path is not None:
            again.append(f"pg_catalog.set_config('search_path',{literal(wanted_path)},false)")
        self.tail: Sequence[str] = (*_CLEAN, f"SELECT {','.join(again)};") if again else _CLEAN
        """Statements that put session settings back to what they were when this connection was opened."""

    def _reads_backslashes(self) -> bool:
        """Whether role, database or server have it that a backslash escapes within plain strings, under which scripts
        would end elsewhere than where we split them. The session is then set to the usual manner. Raises `Refused`
        behind a pooler, where the setting would not be sure to stay with us.
        """
        if self.connection.info.parameter_status("standard_conforming_strings") != "off":
            return False
        if self.pooled:
            raise Refused(
                f"standard_conforming_strings is off for {self.user} in {self.database}: scripts would be read "
                "otherwise than they were split, and behind a pooler that cannot be set right for one client.",
                code="old_strings",
                hint="ALTER ROLE … (or DATABASE) … RESET standard_conforming_strings, or name a connection past the "
                "pooler as the address.",
            )
        read_plainly(self.connection)
        return True

    def local_path(self) -> str:
        """A statement that sets the search path for a transaction, where it cannot be the session's; else empty."""
        if self.search_path is None or not self.pooled:
            return ""
        return f"SELECT pg_catalog.set_config('search_path', {literal(self.search_path)}, true);"

    def ask(self, sql: str, settings: Iterable[str] = ()) -> list[tuple[str | None, ...]]:
        """Rows of a statement that only reads, as text, names in it looked for where a script's are. `settings`: of
        the script's own, made for this one look. Raises psycopg.Error.
        """
        before = self.local_path() + "".join(f"{setting}\n;" for setting in settings)
        return ask(self.connection, f"BEGIN;{before}{sql};ROLLBACK" if before else sql)

    def info(self) -> TargetInfo:
        """Who answers."""
        major, minor = divmod(self.version, 10_000)
        where = self._door.where()
        return TargetInfo(
            dialect="postgresql",
            server=f"PostgreSQL {major}.{minor} at {where.partition('/')[0]}",
            version=self.version,
            database=self.database,
            user=self.user,
            pooled=self.pooled,
            environment=self.meta["environment"] if self.meta else None,
            prepared=self.meta is not None,
            location=where,
        )

    def clear_traces(self, script: tuple[str, str]) -> None:
        """Remove what another script may have left in this session; behind a pooler each transaction does. Raises
        psycopg.Error.
        """
        if not self.pooled and self.traces_of is not None and self.traces_of != script:
            self.traces_of = None
            self._tidy(_CLEAR_TRACES)

    def restore(self) -> None:
        """Put session settings back. Raises psycopg.Error."""
        self._tidy("".join(self.tail).encode())

    def _tidy(self, message: bytes) -> None:
        """A session that cannot be cleaned is given up."""
        results = exchange(self.connection, message)
        if results and results[-1].status == FATAL_ERROR:
            self.close()

    def take_notices(self) -> tuple[str, ...]:
        """What the server remarked since the last time."""
        if not self.notices:
            return ()
        taken = tuple(self.notices)
        self.notices.clear()
        return taken

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def _noticed(self, told: psycopg.errors.Diagnostic) -> None:
        if len(self.notices) < _MOST_NOTICES:
            self.notices.append(f"{told.severity_nonlocalized or told.severity}: {told.message_primary}")
