"""Another PostgreSQL for the journal, which may hold those of many targets."""

from __future__ import annotations

from collections.abc import Sequence

from bascule.databases.postgres import memory
from bascule.databases.postgres.connections import Connections
from bascule.databases.postgres.layout import prepare
from bascule.databases.postgres.wire import ask
from bascule.domain.history import Fact
from bascule.ports.database import TargetOptions


class Elsewhere:
    """The journal of one target, in another database."""

    def __init__(self, url: str, options: TargetOptions) -> None:
        """`options` are the target's: schema and limits are the same there."""
        self._url = url
        self._options = TargetOptions(schema=options.schema, limits=options.limits, application=options.application)
        self._connections = self.more()

    def more(self) -> Connections:
        """New connections to it, for whoever needs their own."""
        return Connections(self._url, self._options)

    def prepare(self) -> None:
        """Make Bascule's tables there. Raises as `layout.prepare`."""
        prepare(self._connections)

    def append(self, facts: Sequence[Fact], *, durable: bool, about: str) -> None:
        """Write facts about the database of this identity."""
        self.prepare()
        schema, ascii_only = self._connections.quoted, self._connections.main().ascii_only
        sql = memory.append_sql(schema, facts, durable=durable, about=about, ascii_only=ascii_only)
        self._connections.read(lambda session: ask(session.connection, sql), "write to the journal")

    def journal(self, wanted: memory.Wanted, *, about: str) -> list[Fact]:
        """Facts about the database of this identity, oldest first."""
        schema = self._connections.quoted
        found = self._connections.recall(
            lambda session: memory.read_journal(session.connection, schema, wanted, about=about), "read the journal"
        )
        return found or []

    def close(self) -> None:
        """Hang up."""
        self._connections.close()
