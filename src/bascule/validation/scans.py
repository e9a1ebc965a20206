"""Which passes over the tables answer all tests, and the SQL of each. Both databases read the same SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bascule.ports.validation import (
    AggregateTest,
    Catalog,
    DuplicateTest,
    Key,
    QueryTest,
    ReferenceTest,
    RowTest,
    TableFacts,
    Test,
    ValidationOptions,
)

MOST: Final = 400
"""Conditions in one statement: SQLite answers at most 2,000 columns, PostgreSQL 1,664."""
SAMPLES: Final = 5
LONGEST: Final = 80
"""Characters of a value that is shown."""
FEW_PAGES: Final = 200
"""Fewer blocks than that say nothing about a table; a sample reads at least so many."""
FULL: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Tests, by their numbers, that one pass over one table answers; or a single test that needs its own."""

    table: Key | None
    tests: tuple[int, ...]
    percent: float | None = None
    """Share of the blocks that is read."""
    fused: bool = False
    """Row tests, which may be read by ranges of blocks and together."""


def plan_passes(catalog: Catalog, tests: Sequence[Test], options: ValidationOptions) -> list[Pass]:
    """Row tests of a table together, apart by whether they may be sampled; all others each alone. Large ones first,
    so that connections end at about the same time.
    """
    fused: dict[tuple[Key, float | None], list[int]] = {}
    alone = []
    for number, test in enumerate(tests):
        if isinstance(test, RowTest | AggregateTest):
            # A sum of a sample is not a sum, so that not even a preview reads less for it.
            row = isinstance(test, RowTest)
            allowed = isinstance(test, RowTest) and test.may_sample
            percent = sampled(catalog.tables.get(test.table), options, allowed=allowed) if row else None
            fused.setdefault((test.table, percent), []).append(number)
        elif isinstance(test, ReferenceTest):
            percent = sampled(catalog.tables.get(test.table), options, allowed=test.may_sample)
            alone.append(Pass(table=test.table, tests=(number,), percent=percent))
        else:
            table = None if isinstance(test, QueryTest) else test.table
            alone.append(Pass(table=table, tests=(number,)))
    passes = [
        Pass(table=table, tests=tuple(numbers[at : at + MOST]), percent=percent, fused=True)
        for (table, percent), numbers in fused.items()
        for at in range(0, len(numbers), MOST)
    ]
    size = {key: table.bytes for key, table in catalog.tables.items()}
    # Of one table what cannot be divided comes first: the ranges fill the time that is left evenly.
    return sorted([*alone, *passes], key=lambda each: -size.get(each.table or ("", ""), 0))


def sampled(table: TableFacts | None, options: ValidationOptions, *, allowed: bool) -> float | None:
    """Percent of the blocks to read; None: all."""
    if table is None or table.pages <= FEW_PAGES:
        return None
    if options.preview is not None:
        wanted = options.preview * FULL
    elif not allowed or (table.rows or 0) <= options.sample_above:
        return None
    else:
        wanted = FULL * options.sample_rows / (table.rows or 1)
    percent = round(max(wanted, FULL * FEW_PAGES / table.pages), 4)
    return percent if percent < FULL else None


def ranges(pages: int, largest: int, at_least: int = 1) -> list[tuple[int, int | None]]:
    """Ranges of blocks of about equal length, none longer than `largest`; the last one is open, for a table that
    grows meanwhile.
    """
    count = max(at_least, -(-pages // largest)) if pages else 1
    edges = [pages * number // count for number in range(count)]
    return [(edge, edges[number + 1] if number + 1 < count else None) for number, edge in enumerate(edges)]


def quoted(name: str) -> str:
    """An identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def table_sql(key: Key) -> str:
    """A table by schema and name."""
    return f"{quoted(key[0])}.{quoted(key[1])}"


def literal(text: str) -> str:
    """A text, where backslashes are plain."""
    return "'" + text.replace("'", "''") + "'"


def fused_sql(source: str, tests: Sequence[RowTest | AggregateTest], where: str = "") -> str:
    """One row: how many rows were read, then for each test how many of them offend, or the aggregate over them."""
    # A line's end, for a condition may end in a comment.
    counts = "".join(
        f",\n count(*) FILTER (WHERE {test.offends}\n)"
        if isinstance(test, RowTest)
        else f",\n {test.kind}({test.expression}\n)"
        for test in tests
    )
    return f"SELECT count(*){counts}\nFROM {source}{f' WHERE {where}' if where else ''}"


def rows_sql(catalog: Catalog, source: str, test: RowTest, where: str = "") -> str:
    """A few of the rows that offend."""
    names = named(catalog, test.table, test.show)
    more = f" AND {where}" if where else ""
    return f"SELECT {shown_sql(catalog, names)} FROM {source} WHERE ({test.offends}\n){more} LIMIT {SAMPLES}"


def named(catalog: Catalog, key: Key, show: Sequence[str]) -> list[str]:
    """The columns of a sample: the primary key, then what matters."""
    table = catalog.table(key)
    return list(dict.fromkeys([*(table.primary if table else ()), *show]))


def shown_sql(catalog: Catalog, names: Sequence[str], prefix: str = "") -> str:
    """The columns as short texts; the row's place where there are none."""
    if not names:
        return f"CAST({prefix}ctid AS text)" if catalog.dialect == "postgresql" else "NULL"
    return ", ".join(f"substr(CAST({prefix}{quoted(name)} AS text), 1, {LONGEST})" for name in names)


def reference_sql(catalog: Catalog, source: str, parent: str, test: ReferenceTest, *, sample: bool = False) -> str:
    """How many rows were read and how many of them lead nowhere; or a few of those."""
    pairs = zip(test.columns, test.parent_columns, strict=True)
    join = " AND ".join(f"that.{quoted(there)} = this.{quoted(here)}" for here, there in pairs)
    filled = " AND ".join(f"this.{quoted(name)} IS NOT NULL" for name in test.columns)
    lost = f"{filled} AND NOT EXISTS (SELECT 1 FROM {parent} AS that WHERE {join})"
    if test.match_full and len(test.columns) > 1:
        some = " OR ".join(f"this.{quoted(name)} IS NOT NULL" for name in test.columns)
        lost = f"({lost}) OR (({some}) AND NOT ({filled}))"
    if not sample:
        return f"SELECT count(*) FROM {source} WHERE {lost}"
    shown = shown_sql(catalog, named(catalog, test.table, test.columns), "this.")
    if not test.indexed or test.match_full:
        return f"SELECT {shown} FROM {source} WHERE {lost} LIMIT {SAMPLES}"
    # Found in the indexes alone; only the few rows are read in the table.
    keys = ", ".join(f"this.{quoted(name)}" for name in test.columns)
    few = f"SELECT {keys} FROM {source} WHERE {lost} LIMIT {SAMPLES}"
    return f"SELECT {shown} FROM {source} WHERE ({keys}) IN ({few}) LIMIT {SAMPLES}"


def duplicates_sql(catalog: Catalog, source: str, test: DuplicateTest, *, sample: bool = False) -> str:
    """How many rows share their values with another, in how many groups; or a few of the groups."""
    # SQLite: through an index the rows that are missing in it would not be seen; a plus keeps it from being used.
    plain = "+" if catalog.dialect == "sqlite" else ""
    names = [f"{plain}{quoted(name)}" for name in test.columns]
    keys = [f"lower(CAST({name} AS text))" for name in names] if test.folded else names
    filled = "" if test.nulls_alike else " WHERE " + " AND ".join(f"{name} IS NOT NULL" for name in names)
    groups = f"FROM {source}{filled} GROUP BY {', '.join(keys)} HAVING count(*) > 1"
    if not sample:
        return f"SELECT coalesce(sum(alike), 0), count(*) FROM (SELECT count(*) AS alike {groups}) AS groups"
    shown = ", ".join(f"substr(CAST({key} AS text), 1, {LONGEST})" for key in keys)
    return f"SELECT {shown}, CAST(count(*) AS text) {groups} LIMIT {SAMPLES}"


def query_sql(test: QueryTest) -> tuple[str, str]:
    """How many rows a user's query answers, and the query for a few of them."""
    plain = test.sql.strip().rstrip(";")
    return f"SELECT count(*) FROM ({plain}\n) AS asked", f"SELECT * FROM ({plain}\n) AS asked LIMIT {SAMPLES}"


def pass_words(catalog: Catalog, each: Pass, tests: Sequence[Test]) -> str:
    """A pass for people."""
    table = catalog.tables.get(each.table) if each.table else None
    where = table.shown if table else each.table[1] if each.table else "a query of the configuration"
    read = "" if each.percent is None else f", {each.percent:g} % of its blocks"
    first = tests[each.tests[0]]
    if each.fused:
        aggregates = sum(isinstance(tests[number], AggregateTest) for number in each.tests)
        counts = ((len(each.tests) - aggregates, "condition"), (aggregates, "aggregate"))
        told = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
        what = f"one pass for {' and '.join(told)}"
    elif isinstance(first, ReferenceTest):
        how = "merged with" if first.indexed else "joined with"
        what = f"({', '.join(first.columns)}) {how} {first.parent[1]}"
    elif isinstance(first, DuplicateTest):
        what = f"grouped by {', '.join(first.columns)}"
    else:
        what = "counted"
    return f"{where}: {what}{read}"
