"""The `Dumper` of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.address import without_secrets
from bascule.databases.postgres.archive import Entry, read_entries
from bascule.databases.postgres.digests import read_digests
from bascule.databases.postgres.dump import PostgresDump, missing_rights, usual_workers
from bascule.databases.postgres.dump_catalog import oids_of, read_database, read_tables
from bascule.databases.postgres.dump_task import settings_sql
from bascule.databases.postgres.dump_workers import Workers
from bascule.databases.postgres.load import Source
from bascule.databases.postgres.pg_tools import PgTools, find_tools
from bascule.databases.postgres.tool_access import Access
from bascule.domain.backup import TableDigest
from bascule.domain.statement import Dialect
from bascule.errors import BasculeError, MigrationFailed, Refused
from bascule.ports.backup_store import BackupStore
from bascule.ports.dump import Beside, Dumped, DumpRequest, Guard, Keys, Restored, Stored, Verified, Watch

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresDumper:
    """A `bascule.ports.dump.Dumper`.

    `url` may be a function, which is asked for each connection; it must lead past a transaction pooler (pg_dump needs a
    session). `schema` is Bascule's own, which no dump holds.
    """

    dialect: Dialect = "postgresql"
    proves_by_bytes = True

    def __init__(
        self,
        url: str | Callable[[], str],
        *,
        schema: str = "bascule",
        workers: int | None = None,
        past_pooler: bool = False,
    ) -> None:
        """`past_pooler`: as `Access`."""
        self._access, self._schema, self._workers = Access(url, past_pooler=past_pooler), schema, workers
        self._url = url
        self._tools: PgTools | None = None

    def sizes(self, tables: Sequence[str] | None = None) -> Mapping[str, int]:
        """As the port."""
        with self._told(), self._access.connect() as connection:
            found = read_tables(connection, oids_of(connection, tables, own=self._schema))
        return {table.name: table.whole_size for table in found}

    def dump(
        self, request: DumpRequest, *, store: BackupStore, encryption: Keys | None, watch: Watch | None = None
    ) -> Dumped:
        """As the port."""
        with self._told(), ExitStack() as stack:
            # Of a whole database they are up by the time that it is known what there is to do; of a small one they are
            # ended unasked.
            workers, early = self._workers or usual_workers(), None
            if request.tables is None and workers > 1:
                early = stack.enter_context(Workers(workers, environment=self._access.environment()))
            tools = self._own_tools(prove=True)
            dump = PostgresDump(self._access, schema=self._schema, tools=tools, workers=workers, early=early)
            return dump.dump(request, store=store, encryption=encryption, watch=watch)

    def verify(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        watch: Watch | None = None,
    ) -> Verified:
        """As the port. A role with CREATEDB proves schema and rows, another one rows."""
        from bascule.databases.postgres.scratch import verify

        source = Source(backup)
        with self._told():
            return verify(self._access, source, major=self._major(), tables=tables, psql=self._psql(), watch=watch)

    def restore(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        guard: Guard | None = None,
        watch: Watch | None = None,
    ) -> Restored:
        """As the port: one transaction, with the tables locked while their rows come in."""
        from bascule.databases.postgres.restore import restore_in_place

        source = Source(backup)
        with self._told():
            tools = self._own_tools(prove=False)
            return restore_in_place(
                self._access, source, tools=tools, schema=self._schema, tables=tables, guard=guard, watch=watch
            )

    def made_since(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        words: frozenset[str] | None = None,
    ) -> Sequence[str]:
        """As the port."""
        from bascule.databases.postgres.restore import made_since

        source = Source(backup)
        with self._told():
            tools = self._own_tools(prove=False)
            return made_since(self._access, source, tools=tools, schema=self._schema, tables=tables, words=words)

    def restore_beside(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
        watch: Watch | None = None,
    ) -> Sequence[Beside]:
        """As the port: tables ``beside_…`` in Bascule's schema."""
        from bascule.databases.postgres.beside import restore_beside

        source = Source(backup)
        with self._told():
            return restore_beside(self._access, source, schema=self._schema, tables=tables, watch=watch)

    def restore_to(
        self,
        backup: Stored,
        name: str,
        *,
        watch: Watch | None = None,
    ) -> Restored:
        """As the port: a database of that name on the server of this one."""
        from bascule.databases.postgres.scratch import restore_to

        source = Source(backup)
        with self._told():
            return restore_to(self._access, source, name, watch=watch)

    def export(
        self,
        backup: Stored,
        *,
        write: Callable[[bytes], object],
    ) -> None:
        """As the port, for psql. No server is asked."""
        from bascule.databases.postgres.export import export

        export(Source(backup), write)

    def digests(self, tables: Sequence[str] | None = None) -> Mapping[str, TableDigest]:
        """As the port."""
        with self._told(), self._access.connect() as connection:
            oids = oids_of(connection, tables, own=self._schema)
            connection.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {settings_sql()}")
            found = [table for table in read_tables(connection, oids) if table.kind == "r"]
            digests = read_digests(connection, [(table, "") for table in found])
            answered = {table.name: digest for table, digest in zip(found, digests, strict=True)}
            connection.execute("ROLLBACK")
        return answered

    def digests_of(
        self,
        backup: Stored,
        *,
        tables: Sequence[str] | None = None,
    ) -> Mapping[str, TableDigest]:
        """As the port: the rows of a backup without digests are loaded into temporary tables."""
        if any(digest.columns for digest in backup.manifest.digests.values()):
            return backup.manifest.digests
        from bascule.databases.postgres.scratch import digests_in

        with self._told():
            return digests_in(self._access, Source(backup), tables)

    def sweep(self) -> Sequence[str]:
        """As the port: databases named ``bascule_scratch_…``."""
        from bascule.databases.postgres.scratch import sweep

        with self._told():
            return sweep(self._access)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _psql(self) -> str | None:
        """The program that copies rows fastest, where there is one."""
        try:
            program = self._own_tools(prove=False).psql
        except Refused:
            return None
        return str(program) if program else None

    def _major(self) -> int:
        with self._access.connect() as connection:
            return read_database(connection).major

    def _own_tools(self, *, prove: bool) -> PgTools:
        """pg_dump of the server's version; another one's once a round trip has proved it."""
        if self._tools is not None:
            return self._tools
        tools, own = find_tools(self._major())
        if not own and prove:
            self._prove(tools)
        # What was not proved reads the schema of now, for comparing; the next dump shall prove it.
        if own or prove:
            self._tools = tools
        return tools

    def _prove(self, tools: PgTools) -> None:
        """Make the schema anew out of what the program wrote, and dump that: it has to be the same."""
        import psycopg

        from bascule.databases.postgres.restore_plan import NOT_IN_SCRATCH
        from bascule.databases.postgres.scratch import empty_copy

        major = self._major()
        content = tools.dump_schema(self._access.environment(), snapshot=None, without=self._schema)
        entries = read_entries(content)
        with self._access.connect() as connection:
            facts = read_database(connection)
        try:
            with empty_copy(self._access, entries, facts.made_with, facts.path) as name:
                again = tools.dump_schema(self._access.environment(database=name), snapshot=None, without=self._schema)
        except (BasculeError, psycopg.Error) as exc:
            raise Refused(
                f"There is no pg_dump of version {major} on this machine, and that of version {tools.version} could "
                f"not be proved to write what this server reads: {' '.join(str(exc).split())}.",
                code="backup_tools",
                hint=f"Install the package postgresql-client-{major}.",
            ) from exc
        if _compared(entries, NOT_IN_SCRATCH) != _compared(read_entries(again), NOT_IN_SCRATCH):
            raise Refused(
                f"What pg_dump {tools.version} writes of this server of version {major} is not the same after a round "
                "trip.",
                code="backup_tools",
                hint=f"Install the package postgresql-client-{major}.",
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The driver's errors as ours, without secrets."""
        import psycopg

        try:
            yield
        except psycopg.errors.InsufficientPrivilege as exc:
            raise missing_rights(exc) from exc
        except psycopg.Error as exc:
            address = self._url if isinstance(self._url, str) else self._url()
            words = " ".join(without_secrets(str(exc), address).split())
            raise MigrationFailed(
                f"The server said: {words}.", code="dump_failed", hint="Nothing was changed. Look at its words."
            ) from exc


def _compared(entries: Sequence[Entry], without: set[str]) -> list[tuple[str, ...]]:
    return sorted((*entry.identity, entry.definition) for entry in entries if entry.kind not in without)
