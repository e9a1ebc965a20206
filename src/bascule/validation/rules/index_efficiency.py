"""Indexes that are broken, double or unused, and foreign keys without one."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.ports.validation import Asked, Finding, Inspection, Rule, TableFacts
from bascule.validation.rules.reading import listed

_UNUSED_BYTES = 1 << 20


def _inspect(asked: Asked) -> Inspection:
    tables = asked.catalog.tables.values()
    findings = [found for table in tables for look in (_broken, _double, _unused, _missing) for found in look(table)]
    return Inspection(findings=tuple(findings), looked=f"{sum(len(table.indexes) for table in tables)} indexes are in use")


def _broken(table: TableFacts) -> Iterator[Finding]:
    for index in table.indexes:
        if not index.valid:
            yield Finding(
                words=f"the index {index.name} of {table.shown} is INVALID: it is written and never read",
                table=table.key,
                advice=f"REINDEX INDEX CONCURRENTLY {index.name}, or drop it.",
            )


def _double(table: TableFacts) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    # The one that a constraint stands on is the one to keep.
    for index in sorted(table.indexes, key=lambda each: (not each.constraint, not each.unique, each.name)):
        if index.valid and index.shape in seen:
            yield Finding(
                words=f"the index {index.name} of {table.shown} does what {seen[index.shape]} does already",
                table=table.key,
                advice=f"Drop the index {index.name}.",
            )
        elif index.valid:
            seen[index.shape] = index.name


def _unused(table: TableFacts) -> Iterator[Finding]:
    for index in table.indexes:
        if index.scans == 0 and not index.unique and not index.constraint and index.bytes > _UNUSED_BYTES:
            yield Finding(
                words=f"the index {index.name} of {table.shown} ({index.bytes >> 20} MiB) was never used since the "
                "statistics began",
                table=table.key,
                advice=f"Look whether a standby or a rare job needs {index.name}; if not, drop it.",
            )


def _missing(table: TableFacts) -> Iterator[Finding]:
    for each in table.constraints:
        if each.kind != "foreign" or each.trouble:
            continue
        wanted = set(each.columns)
        if not any(set(index.columns[: len(wanted)]) == wanted for index in table.indexes if index.valid):
            if set(table.primary[: len(wanted)]) == wanted:
                continue
            yield Finding(
                words=f"no index begins with {table.shown} ({listed(each.columns)}), a foreign key: each delete of its "
                "parent reads the whole table",
                table=table.key,
                advice=f"Create an index on {table.shown} ({listed(each.columns)}).",
            )


RULE = Rule(
    id="index_efficiency",
    name="Index Efficiency",
    description="No index is invalid, double or unused, and every foreign key has one.",
    category="performance",
    severity="info",
    inspect=_inspect,
)
