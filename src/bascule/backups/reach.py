"""From the names that statements write to the tables of today that they may reach: questions for the catalog, and how
their answers are read.

Foreign keys with an action, partitions and children are followed. Where a trigger's function, a rule or a view may
carry a change further than anybody can follow, it is every table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bascule.backups.endangered import Endangered, Erasure, destroying_words
from bascule.domain.statement import Dialect, ObjectName

_POSTGRESQL = """WITH RECURSIVE named AS (
  SELECT c.oid, c.relkind
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v') AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', {own})
    AND ({conditions})
), reached AS (
  SELECT oid FROM named
  UNION
  SELECT found.oid FROM reached AS r CROSS JOIN LATERAL (
    SELECT f.conrelid FROM pg_catalog.pg_constraint AS f
    WHERE f.contype = 'f' AND f.confrelid = r.oid
      AND ({cascades} OR {rows} AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd')))
    UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = r.oid
  ) AS found(oid)
)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text, c.relhasrules,
  (SELECT pg_catalog.string_agg(CASE WHEN l.lanname IN ('plpgsql', 'sql') THEN p.prosrc ELSE 'execute' END, ' ')
   FROM pg_catalog.pg_trigger AS t
   JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
   WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D')
FROM reached JOIN pg_catalog.pg_class AS c ON c.oid = reached.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY 1"""
_SQLITE = """WITH RECURSIVE named(name) AS (
  SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view') AND lower(name) IN ({names})
), refers(child, parent) AS MATERIALIZED (
  SELECT m.name, lower(f."table") FROM main.sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f
  WHERE m.type = 'table'
    AND (f.on_delete NOT IN ('NO ACTION', 'RESTRICT') OR f.on_update NOT IN ('NO ACTION', 'RESTRICT'))
), reached(name) AS (
  SELECT name FROM named
  UNION
  SELECT child FROM reached JOIN refers ON parent = lower(reached.name)
)
SELECT m.name, CASE m.type WHEN 'view' THEN 'v' WHEN 'table' THEN
    CASE WHEN m.sql LIKE 'create virtual%' THEN 'x' ELSE 'r' END END, 0,
  (SELECT group_concat(t.sql, ' ') FROM main.sqlite_master AS t
   WHERE t.type = 'trigger' AND t.tbl_name = m.name COLLATE NOCASE)
FROM reached JOIN main.sqlite_master AS m ON m.name = reached.name AND m.type IN ('table', 'view')
ORDER BY 1"""
_OURS = ("bascule_meta", "bascule_ledger", "bascule_step", "bascule_before")
_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a backup has to hold."""

    tables: tuple[str, ...] | None
    """As the database writes them; None: the whole database; empty: nothing of what there is can be destroyed."""
    why: tuple[str, ...] = ()
    """Why the whole."""


def reach_sql(found: Endangered, dialect: Dialect, *, own: str) -> str:
    """The question for the catalog; empty where none is needed. `own`: Bascule's schema."""
    if found.everything or not found.names:
        return ""
    if dialect == "sqlite":
        return _SQLITE.format(names=", ".join(_literal(each.name.lower()) for each in sorted(found.names)))
    return _POSTGRESQL.format(
        own=_literal(own),
        conditions=" OR ".join(map(_condition, sorted(found.names, key=repr))),
        cascades=str(found.cascades).lower(),
        # Of a table that goes, or loses a column, the server leaves the rows that refer to it alone; SQLite does not.
        rows=str(found.rows).lower(),
    )


def read_reach(found: Endangered, rows: Sequence[Sequence[Any]]) -> Reach:
    """What the catalog answered to `reach_sql`."""
    if found.everything:
        return Reach(tables=None, why=found.everything)
    why = []
    for name, kind, rules, triggers in rows:
        if kind == "x":
            why.append(f"{name} is a virtual table, which lies in other tables")
        elif found.rows and (kind == "v" or rules):
            why.append(f"{name} is a view or has rules, which reach other tables")
        elif found.rows and triggers and _may_change(triggers):
            why.append(f"triggers of {name} may change other tables")
    if why:
        return Reach(tables=None, why=tuple(why))
    return Reach(tables=tuple(name for name, kind, _, _ in rows if kind in ("r", "p") and not _is_bookkeeping(name)))


def held_erasures(found: Endangered, reach: Reach) -> tuple[Erasure, ...]:
    """What is to be erased, and is in tables of the backup all the same: something else is destroyed in them too, or it
    is the whole database.
    """
    if reach.tables is None:
        return found.erased
    held = {_folded(table) for table in reach.tables}
    return tuple(each for each in found.erased if not each.names or any(_is_among(name, held) for name in each.names))


def tables_sql(dialect: Dialect, *, own: str) -> str:
    """All tables that hold rows."""
    if dialect == "sqlite":
        ours = ", ".join(map(_literal, _OURS))
        return (
            "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
            f"AND name NOT IN ({ours}) AND name NOT LIKE 'bascule\\_preimage%' ESCAPE '\\' "
            "AND name NOT LIKE 'bascule\\_beside%' ESCAPE '\\' ORDER BY 1"
        )
    return (
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class AS c "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind = 'r' "
        "AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' "
        f"AND n.nspname NOT IN ('information_schema', {_literal(own)}) ORDER BY 1"
    )


def empty_sql(tables: Sequence[str], dialect: Dialect) -> Iterable[str]:
    """Questions of one value each: whether any of these tables holds a row."""
    for at in range(0, len(tables), _AT_ONCE):
        some = tables[at : at + _AT_ONCE]
        names = (f"main.{_quoted(name)}" if dialect == "sqlite" else name for name in some)
        yield "SELECT " + " OR ".join(f"EXISTS (SELECT 1 FROM {name})" for name in names)


def identity_sql(dialect: Dialect) -> str:
    """What tells a database from every other one."""
    if dialect == "sqlite":
        return "SELECT value FROM main.bascule_meta WHERE key = 'identity'"
    return (
        "SELECT s.system_identifier::text || '/' || d.oid FROM pg_catalog.pg_control_system() AS s, "
        "pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()"
    )


def _is_bookkeeping(name: str) -> bool:
    """Bascule's own, or SQLite's: those go along with the tables that they tell of."""
    return _is_ours(name) or name.lower().startswith("sqlite_")


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith(("bascule_preimage", "bascule_beside"))


_PART = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


def _folded(table: str) -> tuple[str | None, str]:
    """Schema and name, of a name as the database writes it."""
    parts = [(quoted or plain).replace('""', '"') for quoted, plain in _PART.findall(table)]
    return (parts[0] if len(parts) > 1 else None, parts[-1].lower())


def _is_among(name: ObjectName, held: Collection[tuple[str | None, str]]) -> bool:
    """Whatever the letters' case: rather one warning too many."""
    if name.kind == "schema":
        return any(schema == name.name for schema, _ in held)
    return any(
        table == name.name.lower() and (None in (schema, name.schema) or schema == name.schema)
        for schema, table in held
    )


def _condition(name: ObjectName) -> str:
    if name.kind == "schema":
        return f"n.nspname = {_literal(name.name)}"
    schema = "" if name.schema is None else f" AND n.nspname = {_literal(name.schema)}"
    return f"(c.relname = {_literal(name.name)}{schema})"


def _may_change(triggers: str) -> bool:
    """Of a trigger of SQLite, whose text is there, rows that it adds to another table count too: a restore of this
    table alone would leave them there.
    """
    body = _without_head(triggers)
    adds = body != triggers and re.search(r"\b(?:insert|replace)\b", body, re.IGNORECASE) is not None
    return adds or destroying_words(body)


def _without_head(text: str) -> str:
    """A trigger of SQLite is kept as its whole statement: the event in its head changes nothing."""
    return re.sub(r"create\s+trigger.*?\bbegin\b", " ", text, flags=re.IGNORECASE | re.DOTALL)


def _literal(text: str) -> str:
    # Of PostgreSQL too: standard_conforming_strings is on wherever Bascule works.
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
