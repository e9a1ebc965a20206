"""Another PostgreSQL for the journal, which may hold those of many targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bascule.databases.postgres import memory
from bascule.databases.postgres.connections import Connections
from bascule.databases.postgres.layout import prepare
from bascule.databases.postgres.wire import ask
from bascule.domain.history import Fact
from bascule.ports.database import TargetOptions

T = TypeVar("T")


class Elsewhere:
    """The journal of one target, in another database."""

    def __init__(self, url: str, options: TargetOptions) -> None:
        """`options` are the target's: schema and limits are the same there."""
        self._url = url
        self._options = TargetOptions(schema=options.schema, limits=options.limits, application=options.application)
        self.connections = self.more()

    def more(self) -> Connections:
        """New connections to it, for whoever needs their own."""
        return Connections(self._url, self._options)

    def prepare(self) -> None:
        """Make Bascule's tables there. Raises as `layout.prepare`."""
        prepare(self.connections)

    def append(self, facts: Sequence[Fact], *, durable: bool, about: str) -> None:
        """Write facts about the database of this identity."""
        self.prepare()
        schema, ascii_only = self.connections.quoted, self.connections.main().ascii_only
        sql = memory.append_sql(schema, facts, durable=durable, about=about, ascii_only=ascii_only)
        self.connections.read(lambda session: ask(session.connection, sql), "write to the journal")

    def journal(self, wanted: memory.Wanted, *, about: str) -> list[Fact]:
        """Facts about the database of this identity, oldest first."""
        schema = self.connections.quoted
        found = self.connections.recall(
            lambda session: memory.read_journal(session.connection, schema, wanted, about=about), "read the journal"
        )
        return found or []

    def recall(self, doing: str, read: Callable[..., T], **wanted: Any) -> T | None:
        """What one of the functions of `memory` reads there; None where nothing is kept."""
        schema = self.connections.quoted
        return self.connections.recall(lambda session: read(session.connection, schema, **wanted), doing)

    def close(self) -> None:
        """Hang up."""
        self.connections.close()
