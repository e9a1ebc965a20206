"""Which passes over the tables answer all tests, and the SQL of each. Both databases read the same SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bascule.ports.validation import (
    Catalog,
    DuplicateTest,
    Key,
    QueryTest,
    ReferenceTest,
    RowTest,
    StructureTest,
    TableFacts,
    Test,
    ValidationOptions,
)

MOST: Final = 400
"""Conditions in one statement: SQLite answers at most 2,000 columns, PostgreSQL 1,664."""
SAMPLES: Final = 5
LONGEST: Final = 80
"""Characters of a value that is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Tests, by their numbers, that one pass over one table answers; or a single test that needs its own."""

    table: Key | None
    tests: tuple[int, ...]
    percent: float | None = None
    """Share of the blocks that is read."""


def plan_passes(catalog: Catalog, tests: Sequence[Test], options: ValidationOptions) -> list[Pass]:
    """Row tests of a table together, apart by whether they may be sampled; all others each alone. Large ones first,
    so that connections end at about the same time.
    """
    fused: dict[tuple[Key, float | None], list[int]] = {}
    alone = []
    for number, test in enumerate(tests):
        if isinstance(test, RowTest):
            percent = sampled(catalog.tables.get(test.table), options, allowed=test.may_sample)
            fused.setdefault((test.table, percent), []).append(number)
        elif isinstance(test, ReferenceTest):
            percent = sampled(catalog.tables.get(test.table), options, allowed=test.may_sample)
            alone.append(Pass(table=test.table, tests=(number,), percent=percent))
        else:
            table = None if isinstance(test, QueryTest) else test.table
            alone.append(Pass(table=table, tests=(number,)))
    passes = [
        Pass(table=table, tests=tuple(numbers[at : at + MOST]), percent=percent)
        for (table, percent), numbers in fused.items()
        for at in range(0, len(numbers), MOST)
    ]
    size = {key: table.bytes for key, table in catalog.tables.items()}
    return sorted([*passes, *alone], key=lambda each: -size.get(each.table or ("", ""), 0))


def sampled(table: TableFacts | None, options: ValidationOptions, *, allowed: bool) -> float | None:
    """Percent of the blocks to read; None: all."""
    if table is None:
        return None
    if options.preview is not None:
        return options.preview * 100
    if not allowed or (table.rows or 0) <= options.sample_above:
        return None
    return max(0.01, round(100 * options.sample_rows / (table.rows or 1), 4))


def quoted(name: str) -> str:
    """An identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def table_sql(key: Key) -> str:
    """A table by schema and name."""
    return f"{quoted(key[0])}.{quoted(key[1])}"


def literal(text: str) -> str:
    """A text, where backslashes are plain."""
    return "'" + text.replace("'", "''") + "'"


def fused_sql(source: str, tests: Sequence[RowTest], where: str = "") -> str:
    """One row: how many rows were read, then for each test how many of them offend."""
    # A line's end, for a condition may end in a comment.
    counts = "".join(f",\n count(*) FILTER (WHERE ({test.offends}\n))" for test in tests)
    return f"SELECT count(*){counts}\nFROM {source} AS this{f' WHERE {where}' if where else ''}"


def rows_sql(catalog: Catalog, source: str, test: RowTest) -> str:
    """A few of the rows that offend."""
    names = named(catalog, test.table, test.show)
    return (
        f"SELECT {shown_sql(catalog, names)} FROM {source} AS this WHERE ({test.offends}\n) LIMIT {SAMPLES}"
    )


def named(catalog: Catalog, key: Key, show: Sequence[str]) -> list[str]:
    """The columns of a sample: the primary key, then what matters."""
    table = catalog.table(key)
    return list(dict.fromkeys([*(table.primary if table else ()), *show]))


def shown_sql(catalog: Catalog, names: Sequence[str]) -> str:
    """The columns as short texts; the row's place where there are none."""
    if not names:
        return "CAST(this.ctid AS text)" if catalog.dialect == "postgresql" else "NULL"
    return ", ".join(f"substr(CAST(this.{quoted(name)} AS text), 1, {LONGEST})" for name in names)


def reference_sql(
    catalog: Catalog, source: str, parent: str, test: ReferenceTest, *, sample: bool = False
) -> str:
    """How many rows lead nowhere and how many refer at all; or a few of those that lead nowhere."""
    pairs = zip(test.columns, test.parent_columns, strict=True)
    join = " AND ".join(f"that.{quoted(there)} = this.{quoted(here)}" for here, there in pairs)
    filled = " AND ".join(f"this.{quoted(name)} IS NOT NULL" for name in test.columns)
    lost = f"{filled} AND NOT EXISTS (SELECT 1 FROM {parent} AS that WHERE {join})"
    if test.match_full and len(test.columns) > 1:
        some = " OR ".join(f"this.{quoted(name)} IS NOT NULL" for name in test.columns)
        lost = f"({lost}) OR (({some}) AND NOT ({filled}))"
    if not sample:
        return f"SELECT count(*) FROM {source} AS this WHERE {lost}"
    names = named(catalog, test.table, test.columns)
    return f"SELECT {shown_sql(catalog, names)} FROM {source} AS this WHERE {lost} LIMIT {SAMPLES}"


def duplicates_sql(catalog: Catalog, source: str, test: DuplicateTest, *, sample: bool = False) -> str:
    """How many rows share their values with another, in how many groups; or a few of the groups."""
    keys = [f"lower(this.{quoted(name)})" if test.folded else f"this.{quoted(name)}" for name in test.columns]
    filled = "" if test.nulls_alike else " WHERE " + " AND ".join(f"this.{quoted(c)} IS NOT NULL" for c in test.columns)
    if catalog.dialect == "sqlite":
        # Through an index that is not in order, the rows themselves would not be seen.
        filled = " NOT INDEXED" + filled
    groups = f"FROM {source} AS this{filled} GROUP BY {', '.join(keys)} HAVING count(*) > 1"
    if not sample:
        return f"SELECT coalesce(sum(alike), 0), count(*) FROM (SELECT count(*) AS alike {groups}) AS groups"
    shown = ", ".join(f"substr(CAST({key} AS text), 1, {LONGEST})" for key in keys)
    return f"SELECT {shown}, count(*) {groups} LIMIT {SAMPLES}"


def structure_kind(words: str) -> str:
    """Which `StructureTest` a line of SQLite's own check belongs to; empty for none."""
    for kind, begin in (
        ("null", "NULL value in"),
        ("check", "CHECK constraint failed"),
        ("unique", "non-unique entry in index"),
        ("type", "non-"),
        ("type", "NUMERIC value in"),
        ("type", "TEXT value in"),
    ):
        if words.startswith(begin):
            return kind
    return ""


__all__ = ["Pass", "StructureTest", "duplicates_sql", "fused_sql", "plan_passes", "reference_sql", "rows_sql"]
