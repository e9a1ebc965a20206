"""What ``op.backfill`` was told, and the UPDATE that does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Columns of existing rows to be set to SQL expressions, which go to the server as written."""

    table: str
    schema: str | None
    set: tuple[tuple[str, str], ...]
    """Column and expression, in the author's order."""
    where: str | None
    key: tuple[str, ...] | None
    """Columns along which batches are cut; None: the primary key."""
    batch: int | None
    """Rows in a batch; None: found by measuring."""

    @classmethod
    def declared(
        cls,
        table: str,
        columns: Mapping[str, str],
        *,
        where: str | None,
        key: str | Sequence[str] | None,
        batch: int | None,
        schema: str | None,
    ) -> Backfill:
        """Check what the author wrote. Raises TypeError or ValueError with the correct spelling.

        A table written with one dot is ``schema.table``.
        """
        if schema is None and table.count(".") == 1:
            schema, table = table.split(".")
        if not columns:
            raise ValueError("op.backfill sets no column: give set={column: SQL expression}")
        for column, expression in columns.items():
            if not isinstance(expression, str):
                raise TypeError(
                    f"op.backfill: the expression for {column} is not text; "
                    f"for the value itself write op.literal({expression!r})"
                )
        if where is not None and not isinstance(where, str):
            raise TypeError("op.backfill: where is the text of a SQL condition")
        if batch is not None and batch < 1:
            raise ValueError("op.backfill: batch is a number of rows, at least 1")
        return cls(
            table=table,
            schema=schema,
            set=tuple(columns.items()),
            where=where,
            key=(key,) if isinstance(key, str) else None if key is None else tuple(key),
            batch=batch,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillText:
    """A backfill with its names quoted as the database wants them."""

    work: Backfill
    quote: Callable[[str], str]

    @property
    def table(self) -> str:
        """The table's name as statements write it."""
        name = self.quote(self.work.table)
        return name if self.work.schema is None else f"{self.quote(self.work.schema)}.{name}"

    def update(self, among: str | None = None) -> str:
        """The UPDATE of all rows concerned, or of those of them that the condition `among` holds for."""
        # Each of the author's texts ends its line: it may end in a comment.
        assignments = ",\n  ".join(f"{self.quote(column)} = {expression}\n" for column, expression in self.work.set)
        conditions = [] if among is None else [among]
        if self.work.where is not None:
            conditions.append(f"({self.work.where}\n)")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"UPDATE {self.table} SET\n  {assignments}{where}".rstrip()
