"""The statements that bring old rows, which stand beside a table, back into it; pure.

They add, and they overwrite nothing that anybody may have written since: rows that are missing come back, and values
of columns that the run itself has made anew, where nobody has filled them. What else is otherwise today, the run or
somebody since may have changed; that is shown, and a person decides about it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from bascule.domain.statement import Dialect
from bascule.ports.dump import Beside

_NTH = "bascule_nth"
"""The number of a row among those that are the same."""


def differing_sql(beside: Beside, dialect: Dialect) -> str:
    """Asks, for each of `Beside.columns`, in how many rows it is otherwise today. Empty where rows cannot be told."""
    if not (beside.there and beside.key and beside.columns):
        return ""
    counts = ", ".join(f"sum(CASE WHEN {_same(each, dialect)} THEN 0 ELSE 1 END)" for each in beside.columns)
    return f"SELECT {counts} FROM {beside.table} AS now JOIN {beside.place} AS old ON {_keys(beside, dialect)}"


def merge_sql(beside: Beside, dialect: Dialect, refilled: Collection[str] = ()) -> tuple[str, ...]:
    """Rows that are missing come back, and then the values of the columns `refilled`, which the run has made anew,
    where they still hold what it left in them. Empty where there is no table to merge into.

    Rows without a key come back only where today's table holds nothing else: a row with another value there may be the
    same one, and nobody can tell.
    """
    if not (beside.there and (beside.key or beside.columns)):
        return ()
    if not beside.key:
        return (_keyless(beside, dialect),)
    return tuple(_keyed(beside, dialect, [each for each in beside.columns if each in refilled]))


def script_of(statements: Sequence[str], dropped: Sequence[str], dialect: Dialect) -> tuple[str, ...]:
    """The statements as one transaction, which happens as a whole. `dropped`: tables that are needed no more when it
    did; in SQLite a script goes on behind a statement that failed, so that nothing is dropped there.
    """
    if not statements:
        return ()
    if dialect == "sqlite":
        return ("BEGIN IMMEDIATE;", "PRAGMA defer_foreign_keys = ON;", *statements, "COMMIT;")
    drops = (f"DROP TABLE {each};" for each in dropped)
    return ("BEGIN;", "SET CONSTRAINTS ALL DEFERRED;", *statements, *drops, "COMMIT;")


def look_sql(beside: Beside, dialect: Dialect, differing: Collection[str]) -> tuple[str, ...]:
    """Shows what is otherwise today and stays so: the values in each column of `differing`; of rows without a key those
    that are on one side only. Nothing where the two are the same.
    """
    if not beside.there:
        return ()
    if not beside.key:
        return tuple(_one_side(beside, dialect)) if beside.columns else ()
    listed = ", ".join(f"now.{each}" for each in beside.key)
    return tuple(
        f"SELECT {listed}, old.{each} AS before, now.{each} AS today FROM {beside.table} AS now "
        f"JOIN {beside.place} AS old ON {_keys(beside, dialect)} WHERE NOT ({_same(each, dialect)});"
        for each in beside.columns
        if each in differing
    )


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


def _keys(beside: Beside, dialect: Dialect) -> str:
    # SQLite lets a key be NULL.
    equal = "IS" if dialect == "sqlite" else "="
    return " AND ".join(f"now.{each} {equal} old.{each}" for each in beside.key)


def _keyed(beside: Beside, dialect: Dialect, refilled: Sequence[str]) -> Iterator[str]:
    same = _keys(beside, dialect)
    yield (
        f"INSERT INTO {_into(beside, dialect)} SELECT {_of(beside, 'old')} FROM {beside.place} AS old "
        f"WHERE NOT EXISTS (SELECT 1 FROM {beside.table} AS now WHERE {same});"
    )
    defaults = dict(beside.defaults)
    for each in refilled:
        left = _is(f"now.{each}", defaults.get(each, "NULL"), dialect)
        yield (
            f"UPDATE {beside.table} AS now SET {each} = old.{each} FROM {beside.place} AS old "
            f"WHERE {same} AND {left} AND NOT ({_same(each, dialect)});"
        )


def _keyless(beside: Beside, dialect: Dialect) -> str:
    now, old = _numbered(beside, beside.table, dialect), _numbered(beside, beside.place, dialect)
    same = _same_row("now", "old")
    return (
        f"INSERT INTO {_into(beside, dialect)} SELECT {_of(beside, 'old')} FROM {old} AS old "
        f"WHERE NOT EXISTS (SELECT 1 FROM {now} AS now WHERE {same}) AND NOT EXISTS (SELECT 1 FROM {now} AS now "
        f"WHERE NOT EXISTS (SELECT 1 FROM {old} AS old WHERE {same}));"
    )


def _one_side(beside: Beside, dialect: Dialect) -> Iterator[str]:
    now, old = _numbered(beside, beside.table, dialect), _numbered(beside, beside.place, dialect)
    same = _same_row("now", "old")
    for side, mine, other, its in (("before", "old", "now", now), ("today", "now", "old", old)):
        source = old if mine == "old" else now
        yield (
            f"SELECT '{side}' AS side, {_of(beside, mine)} FROM {source} AS {mine} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {its} AS {other} WHERE {same});"
        )


def _numbered(beside: Beside, table: str, dialect: Dialect) -> str:
    """The rows, each with its text and its number among those of the same text."""
    text = _text_of(beside.columns, dialect)
    columns = ", ".join(beside.columns)
    return f"(SELECT {columns}, {text} AS bascule_row, row_number() OVER (PARTITION BY {text}) AS {_NTH} FROM {table})"


def _text_of(columns: Sequence[str], dialect: Dialect) -> str:
    if dialect == "sqlite":
        return " || ',' || ".join(f"quote({each})" for each in columns)
    return f"ROW({', '.join(columns)})::text"


def _same_row(one: str, other: str) -> str:
    return f"{one}.bascule_row = {other}.bascule_row AND {one}.{_NTH} = {other}.{_NTH}"


def _into(beside: Beside, dialect: Dialect) -> str:
    listed = ", ".join((*beside.key, *beside.columns))
    # Columns that give out their values themselves take these all the same.
    overriding = " OVERRIDING SYSTEM VALUE" if dialect == "postgresql" else ""
    return f"{beside.table} ({listed}){overriding}"


def _of(beside: Beside, side: str) -> str:
    return ", ".join(f"{side}.{each}" for each in (*beside.key, *beside.columns))


def _same(column: str, dialect: Dialect) -> str:
    """Two NULLs are the same here."""
    return _is(f"now.{column}", f"old.{column}", dialect)


def _is(one: str, other: str, dialect: Dialect) -> str:
    if dialect == "sqlite":
        return f"{one} IS {other}"
    # As text: json, xml and points have no "=".
    return f"{one}::text IS NOT DISTINCT FROM ({other})::text"
