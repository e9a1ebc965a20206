"""How the statements of an author's function get to the database."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from bascule.databases.operations.backfill import Backfill
from bascule.domain.statement import Dialect

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


class Carrier(Protocol):
    """What stands behind ``op``: one implementation for a transaction, one for steps."""

    dialect: Dialect
    rows_per_insert: int | None
    """None: ``op.bulk_insert`` sends its rows with the driver's own means; else that many rows make one statement."""

    @property
    def connection(self) -> Connection:
        """What Alembic's operations send their constructs through."""

    def bind(self) -> Connection:
        """`connection`, made ready for the author's own use: reading included."""

    def send(self, sql: str) -> None:
        """Text of one or several statements, to the server as written."""

    def backfill(self, work: Backfill) -> None:
        """Fill columns of existing rows."""

    def enter_autocommit(self) -> None:
        """``op.get_context().autocommit_block()`` begins. Raises MigrationFailed inside a transaction."""

    def recreate(self, table: str, schema: str | None, *, reflected: bool) -> None:
        """A table is about to be copied and replaced. Raises MigrationFailed where that is not safe."""

    def copying(self) -> AbstractContextManager[None]:
        """Around ``op.batch_alter_table``, inside of which `recreate` may be called."""
