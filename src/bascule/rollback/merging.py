"""The statements that bring old rows, which stand beside a table, back into it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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


def parents_first(tables: Sequence[Beside], references: Iterable[tuple[str, str]]) -> tuple[Beside, ...]:
    """So that a row comes behind the one that it refers to. `references`: a table's name, and that of one which it
    refers to; in a circle the order stays as it is.
    """
    needs: dict[str, set[str]] = {}
    for child, parent in references:
        if child != parent:
            needs.setdefault(child, set()).add(parent)
    waiting, found = list(tables), []
    while waiting:
        names = {each.table for each in waiting}
        ready = [each for each in waiting if not needs.get(each.table, set()) & names] or waiting[:1]
        found += ready
        waiting = [each for each in waiting if each not in ready]
    return tuple(found)


def references_sql(dialect: Dialect) -> str:
    """Asks for all pairs of tables of which one refers to the other, named as `Beside.table` is."""
    if dialect == "sqlite":
        child, parent = (f"""'"' || replace({each}, '"', '""') || '"'""" for each in ("m.name", 'f."table"'))
        return (
            f"SELECT {child}, {parent} FROM sqlite_master AS m "
            "JOIN pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'"
        )
    return (
        "SELECT format('%I.%I', cn.nspname, c.relname), format('%I.%I', pn.nspname, p.relname) "
        "FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid "
        "JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.relnamespace JOIN pg_catalog.pg_class AS p "
        "ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace WHERE k.contype = 'f'"
    )


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
