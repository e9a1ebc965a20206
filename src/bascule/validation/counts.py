"""Which tables a migration writes rows to, and SQL that says how many they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Dialect, ObjectName

SMALL = 16 * 1024 * 1024
"""Bytes up to which PostgreSQL counts; above, its own estimate is taken and said to be one."""
MANY = 1_000_000
"""Rows up to which SQLite counts."""
MOST = 20
"""Tables of one migration that are counted at most."""

_WRITES = ("INSERT", "UPDATE", "DELETE", "DROP TABLE")

_SIZES = """SELECT asked.number,
  CASE WHEN pg_catalog.pg_relation_size(c.oid) > {small} OR c.relkind <> 'r' THEN c.reltuples::bigint END
FROM (VALUES {names}) AS asked(number, name)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(asked.name)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The rows of one table."""

    rows: int | None = None
    """None: there is no such table, or nobody has counted yet."""
    estimated: bool = False
    there: bool = False


def written_tables(planned: PlannedMigration, dialect: Dialect) -> tuple[tuple[ObjectName, ...], tuple[str, ...]]:
    """Tables whose rows the statements name as changed, and the settings that tell what the names mean."""
    found: dict[ObjectName, None] = {}
    settings: list[str] = []
    for step in planned.steps:
        for statement, insight in zip(step.statements, step.insights, strict=True):
            if insight.search_path is not None:
                settings.append(statement.text)
            elif dialect == "postgresql":
                found |= dict.fromkeys(each for each in insight.touch.runs if each.kind == "relation")
            elif insight.kind in _WRITES[:3]:
                from bascule.validation.needs.sqlite.reading import changed_table

                found[ObjectName(kind="relation", name=changed_table(statement))] = None
            if insight.kind == "DROP TABLE":
                found |= dict.fromkeys(each for each in insight.touch.objects if each.kind == "relation")
    return tuple(found), tuple(settings)


def touched_tables(planned: Sequence[PlannedMigration], dialect: Dialect) -> tuple[tuple[str, ...], bool]:
    """All tables that the migrations name as changed, in structure or in rows, as a person writes them; and whether
    they run code that may change any other.
    """
    found: dict[str, None] = {}
    everything = False
    for each in planned:
        for step in each.steps:
            everything = everything or step.kind == "python"
            for statement, insight in zip(step.statements, step.insights, strict=True):
                everything = everything or insight.touch.everything
                names = [name for name in insight.touch.objects | insight.touch.runs if name.kind == "relation"]
                if dialect == "sqlite" and insight.kind in _WRITES[:3]:
                    from bascule.validation.needs.sqlite.reading import changed_table

                    names.append(ObjectName(kind="relation", name=changed_table(statement)))
                found |= dict.fromkeys(shown_name(name) for name in names)
    return tuple(sorted(found)), everything


def shown_name(table: ObjectName) -> str:
    """As a person writes it, with its schema if it was written with one."""
    return table.name if table.schema is None else f"{table.schema}.{table.name}"


def sizes_sql(tables: Sequence[ObjectName], dialect: Dialect) -> str:
    """Of each table that is there its number, and an estimate where it is too large to be counted."""
    from bascule.validation.needs.writing import literal, table_name

    if dialect == "sqlite":
        names = ", ".join(f"({number}, {literal(table.name)})" for number, table in enumerate(tables))
        return (
            f"WITH asked(number, name) AS (VALUES {names}) SELECT asked.number, NULL FROM asked "
            "JOIN sqlite_master AS m ON m.type = 'table' AND lower(m.name) = lower(asked.name)"
        )
    names = ", ".join(f"({number}, {literal(table_name(table))})" for number, table in enumerate(tables))
    return _SIZES.format(small=SMALL, names=names)


def read_sizes(tables: Sequence[ObjectName], rows: Sequence[tuple[Any, ...]]) -> dict[ObjectName, Counted]:
    """What `sizes_sql` answered, by table; those that are not there among them."""
    found = {table: Counted() for table in tables}
    for number, estimate in rows:
        known = estimate is not None and estimate >= 0
        found[tables[number]] = Counted(there=True, rows=int(estimate) if known else None, estimated=known)
    return found


def counts_sql(tables: Sequence[ObjectName], dialect: Dialect) -> str:
    """One row, with a number for each; NULL where SQLite would have to read more than `MANY` rows."""
    from bascule.validation.needs.writing import table_name

    if dialect == "postgresql":
        return "SELECT " + ", ".join(f"(SELECT count(*) FROM {table_name(table)})" for table in tables)
    # A plain count(*) is one instruction of SQLite's, which nothing can end before its end.
    few = (f"(SELECT count(*) AS n FROM (SELECT 1 FROM {table_name(table)} LIMIT {MANY + 1}))" for table in tables)
    return "SELECT " + ", ".join(f"(SELECT CASE WHEN n <= {MANY} THEN n END FROM {each})" for each in few)
