"""The statements that bring old rows, which stand beside a table, back into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bascule.domain.statement import Dialect
from bascule.ports.dump import Beside


def differing_sql(beside: Beside, dialect: Dialect) -> str:
    """Asks, for each of `Beside.columns`, in how many rows it is otherwise today. Empty where rows cannot be told."""
    if not (beside.there and beside.key and beside.columns):
        return ""
    counts = ", ".join(f"sum(CASE WHEN {_same(each, dialect)} THEN 0 ELSE 1 END)" for each in beside.columns)
    return f"SELECT {counts} FROM {beside.table} AS now JOIN {beside.place} AS old ON {_keys(beside)}"


def merge_sql(beside: Beside, dialect: Dialect, differing: Sequence[str]) -> tuple[str, ...]:
    """Rows that are missing come back, then values that differ, column by column; the last statement takes the table
    beside away. Empty where there is no table to merge into. `differing`: the columns that differ in any row.

    What was written since stays: new rows always, new values of old rows until their UPDATE is run. Each stands alone,
    so that a person can leave one out.
    """
    wanted = beside.there and (beside.key or beside.columns)
    return tuple(_statements(beside, dialect, differing)) if wanted else ()


def _keys(beside: Beside) -> str:
    return " AND ".join(f"now.{each} = old.{each}" for each in beside.key)


def _statements(beside: Beside, dialect: Dialect, differing: Sequence[str]) -> Iterator[str]:
    columns = (*beside.key, *beside.columns)
    listed = ", ".join(columns)
    old = ", ".join(f"old.{each}" for each in columns)
    # Columns that give out their values themselves take these all the same.
    overriding = " OVERRIDING SYSTEM VALUE" if dialect == "postgresql" else ""
    same = _keys(beside) or " AND ".join(_same(each, dialect) for each in columns)
    yield (
        f"INSERT INTO {beside.table} ({listed}){overriding} SELECT {old} FROM {beside.place} AS old "
        f"WHERE NOT EXISTS (SELECT 1 FROM {beside.table} AS now WHERE {same}) ON CONFLICT DO NOTHING;"
    )
    for each in differing:
        yield (
            f"UPDATE {beside.table} AS now SET {each} = old.{each} FROM {beside.place} AS old "
            f"WHERE {same} AND NOT ({_same(each, dialect)});"
        )
    yield f"DROP TABLE {beside.place};"


def _same(column: str, dialect: Dialect) -> str:
    """Two NULLs are the same here."""
    if dialect == "sqlite":
        return f"now.{column} IS old.{column}"
    # As text: json, xml and points have no "=".
    return f"now.{column}::text IS NOT DISTINCT FROM old.{column}::text"
