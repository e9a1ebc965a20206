"""What really is in a database, read without Bascule."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

BEGUN = -1
"""The mark that says a script was begun; by itself it changes nothing for the application."""

Mark = tuple[str, str, int]
"""Migration, direction, step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One look at everything."""

    schema: tuple[str, ...]
    """Every object's definition, as the database's own catalog has it."""
    rows: Mapping[str, tuple[str, ...]]
    """Every row of every table of the application, sorted, as text."""
    ledger: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    invalid: tuple[str, ...] = ()
    """Indexes that are there and not whole."""
    leased: bool = False
    """The lease says that somebody is at work."""
    completed: Mapping[str, int] = field(default_factory=dict)
    """How often the journal says of a migration that its up was completed."""

    @property
    def state(self) -> Truth:
        """What has to be equal where two runs ended in the same state."""
        return replace(self, completed={}, leased=False)

    @property
    def whole(self) -> bool:
        """No script is half done."""
        return not self.marks

    def differs_from(self, other: Truth) -> bool:
        """Something that a person would call a change: a script that was only begun is none."""
        return self._without_begun() != other._without_begun()

    def _without_begun(self) -> Truth:
        return replace(self.state, marks=tuple(mark for mark in self.marks if mark[2] != BEGUN))

    def differences(self, other: Truth) -> list[str]:
        """In words, for a person: what is here and not there, and the other way round."""
        words = [f"missing: {line}" for line in other.schema if line not in self.schema]
        words += [f"too much: {line}" for line in self.schema if line not in other.schema]
        for table in sorted({*self.rows, *other.rows}):
            mine, its = self.rows.get(table, ()), other.rows.get(table, ())
            if mine != its:
                words.append(f"rows of {table}: {_short(mine)} instead of {_short(its)}")
        for what in ("ledger", "marks", "invalid"):
            if getattr(self, what) != getattr(other, what):
                words.append(f"{what}: {getattr(self, what)} instead of {getattr(other, what)}")
        return words

    def has_more_rows_than(self, other: Truth) -> bool:
        """Some row is here more often than there: an effect that came twice."""
        return any(
            rows.count(row) > other.rows.get(table, ()).count(row)
            for table, rows in self.rows.items()
            for row in set(rows)
        )


def _short(rows: Sequence[str]) -> str:
    shown = ", ".join(rows[:6]) + (", …" if len(rows) > 6 else "")
    return f"{len(rows)} [{shown}]"


Ask = Callable[[str], Sequence[tuple[Any, ...]]]


def sqlite_truth(ask: Ask, ask_sidecar: Ask | None) -> Truth:
    """Of a SQLite database and its sidecar, where there is one."""
    found = ask("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2")
    own = {name for _, name, _, _ in found if name.startswith("bascule_")}
    objects = [row for row in found if row[1] not in own and row[2] not in own]
    tables = [name for kind, name, _, _ in objects if kind == "table"]
    version = ask("PRAGMA user_version")[0][0]
    prepared = "bascule_ledger" in own
    return Truth(
        schema=(
            *(f"{kind} {name}: {' '.join((sql or '').split())}" for kind, name, _, sql in objects),
            f"version {version}",
        ),
        rows={table: tuple(sorted(str(row) for row in ask(f'SELECT * FROM "{table}"'))) for table in tables},
        ledger=tuple(row[0] for row in ask("SELECT name FROM bascule_ledger ORDER BY position")) if prepared else (),
        marks=tuple(_marks(ask("SELECT migration, direction, step FROM bascule_step"))) if prepared else (),
        leased=bool(ask_sidecar and ask_sidecar("SELECT 1 FROM bascule_holder WHERE NOT released")),
        completed=dict(ask_sidecar(_COMPLETED.format(journal="bascule_journal"))) if ask_sidecar else {},
    )


_COMPLETED = "SELECT migration, count(*) FROM {journal} WHERE kind = 'run_completed' GROUP BY migration"

_OBJECTS = """
WITH space AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname <> 'bascule' AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
)
SELECT 'schema ' || nspname FROM space
UNION ALL
SELECT 'relation ' || c.oid::regclass || ' kind ' || c.relkind::text || ' '
  || coalesce(array_to_string(c.reloptions, ','), '')
  || CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) ELSE '' END
FROM pg_class c JOIN space s ON s.oid = c.relnamespace
UNION ALL
SELECT 'column ' || c.oid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' '
  || a.attnotnull || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN space s ON s.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT 'index ' || pg_get_indexdef(i.indexrelid) || ' valid ' || i.indisvalid || ' ready ' || i.indisready
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN space s ON s.oid = c.relnamespace
UNION ALL
SELECT 'constraint ' || conrelid::regclass || '.' || conname || ' ' || pg_get_constraintdef(k.oid)
  || ' validated ' || convalidated
FROM pg_constraint k JOIN space s ON s.oid = k.connamespace
UNION ALL
SELECT 'routine ' || p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid))
FROM pg_proc p JOIN space s ON s.oid = p.pronamespace WHERE p.prokind IN ('f', 'p')
UNION ALL
SELECT 'enum ' || t.oid::regtype || ' ' || string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN space s ON s.oid = t.typnamespace GROUP BY t.oid
UNION ALL
SELECT 'partition ' || inhrelid::regclass || ' of ' || inhparent::regclass || ' leaving ' || inhdetachpending
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN space s ON s.oid = c.relnamespace
UNION ALL
SELECT 'trigger ' || pg_get_triggerdef(t.oid)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN space s ON s.oid = c.relnamespace WHERE NOT tgisinternal
ORDER BY 1
"""
_TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('bascule', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1
"""
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"
_OWN = """
SELECT (SELECT json_agg(name ORDER BY position) FROM bascule.ledger),
  (SELECT json_agg(json_build_array(migration, direction, step)) FROM bascule.mark),
  EXISTS (SELECT FROM bascule.lease WHERE owner IS NOT NULL)
"""


def postgresql_truth(ask: Ask) -> Truth:
    """Of a PostgreSQL database."""
    tables = [row[0] for row in ask(_TABLES)]
    prepared = bool(ask("SELECT 1 FROM pg_namespace WHERE nspname = 'bascule'"))
    ledger, marks, leased = ask(_OWN)[0] if prepared else (None, None, False)
    return Truth(
        schema=tuple(row[0] for row in ask(_OBJECTS)),
        rows=_rows(ask, tables),
        ledger=tuple(_read(ledger)),
        marks=tuple(_marks(_read(marks))),
        invalid=tuple(row[0] for row in ask(_INVALID)),
        leased=leased,
        completed=dict(ask(_COMPLETED.format(journal="bascule.journal"))) if prepared else {},
    )


def _rows(ask: Ask, tables: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if not tables:
        return {}
    rows = " UNION ALL ".join(
        f"SELECT {number} AS place, t::text AS row FROM ONLY {table} AS t" for number, table in enumerate(tables)
    )
    found: dict[str, list[str]] = {table: [] for table in tables}
    for place, row in ask(f"SELECT place, row FROM ({rows}) AS every ORDER BY place, row"):
        found[tables[place]].append(row)
    return {table: tuple(lines) for table, lines in found.items()}


def _marks(rows: Sequence[Sequence[Any]]) -> list[Mark]:
    return sorted((row[0], row[1], row[2]) for row in rows)


def _read(value: Any) -> list[Any]:
    return json.loads(value) if isinstance(value, str) else value or []
