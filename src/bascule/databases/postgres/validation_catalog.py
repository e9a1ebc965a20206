"""What the catalog of PostgreSQL says about tables, for the data rules: read in one go, whatever their number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bascule.ports.validation import (
    Catalog,
    ColumnFacts,
    ConnectionFacts,
    ConstraintFacts,
    IndexFacts,
    Key,
    SequenceFacts,
    StatementFacts,
    TableFacts,
    ValidationOptions,
)

Ask = Callable[[str, Mapping[str, Any]], Sequence[tuple[Any, ...]]]
Attempt = Callable[[str, Mapping[str, Any], dict[str, str], str], Sequence[tuple[Any, ...]]]
"""Statement, parameters, where to note why it failed, and under which name."""

BLOCK: Final = 8192
_STATEMENTS: Final = 200

_OURS = """c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %(own)s)
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
  )"""

# Sizes are those that VACUUM wrote down: asking for the real ones would wait for locks.
_TABLES = f"""WITH RECURSIVE up AS (
  SELECT i.inhrelid AS child, i.inhparent AS above FROM pg_catalog.pg_inherits AS i
  UNION SELECT up.child, i.inhparent FROM up JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = up.above
)
SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text, c.reltuples::float8, c.relpages::bigint,
  c.relpages::bigint
    + coalesce((SELECT t.relpages FROM pg_catalog.pg_class AS t WHERE t.oid = c.reltoastrelid), 0)
    + coalesce((SELECT sum(x.relpages) FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x
        ON x.oid = i.indexrelid WHERE i.indrelid = c.oid), 0),
  coalesce(pg_catalog.pg_stat_get_dead_tuples(c.oid), 0)::float8,
  c.relallvisible::bigint, c.relfilenode::bigint, c.relispartition,
  (SELECT pg_catalog.array_agg(up.above::bigint) FROM up WHERE up.child = c.oid),
  (SELECT i.inhparent::bigint FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid AND c.relispartition LIMIT 1)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND {_OURS}
ORDER BY 2, 3"""

_BASE = """WITH RECURSIVE base AS (
  SELECT t.oid AS type, t.oid AS found, t.typbasetype AS next, t.typtypmod AS mod FROM pg_catalog.pg_type AS t
  UNION ALL
  SELECT base.type, t.oid, t.typbasetype, CASE WHEN base.mod >= 0 THEN base.mod ELSE t.typtypmod END
  FROM base JOIN pg_catalog.pg_type AS t ON t.oid = base.next
)"""
_COLUMNS = f"""{_BASE}
SELECT a.attrelid::bigint, a.attname::text,
  lower(pg_catalog.format_type(base.found, CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE base.mod END)),
  a.attnotnull, a.attgenerated <> '', a.attnum::int
FROM pg_catalog.pg_attribute AS a
JOIN base ON base.type = a.atttypid AND base.next = 0
WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum"""
_DOMAIN_CHECKS = f"""{_BASE}
SELECT a.attrelid::bigint, a.attname::text, con.conname::text, pg_catalog.pg_get_expr(con.conbin, 0)
FROM pg_catalog.pg_constraint AS con
JOIN base ON base.found = con.contypid
JOIN pg_catalog.pg_attribute AS a ON a.atttypid = base.type
WHERE con.contype = 'c' AND (NOT con.convalidated OR %(all)s) AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attrelid = ANY (%(oids)s::oid[])
ORDER BY 1, 2, 3"""

# A foreign key to a partitioned table has a part of its own for each of its partitions, which says nothing new.
_CONSTRAINTS = """SELECT con.conrelid::bigint, con.conname::text, con.contype::text,
  (SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.place)
   FROM pg_catalog.unnest(con.conkey) WITH ORDINALITY AS k(number, place)
   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = con.conrelid AND a.attnum = k.number),
  CASE WHEN con.contype = 'c' THEN pg_catalog.pg_get_expr(con.conbin, con.conrelid) END,
  con.convalidated, coalesce((pg_catalog.to_jsonb(con) ->> 'conenforced')::boolean, true),
  con.confrelid::bigint,
  (SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.place)
   FROM pg_catalog.unnest(con.confkey) WITH ORDINALITY AS k(number, place)
   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = con.confrelid AND a.attnum = k.number),
  con.confmatchtype = 'f',
  con.contype = 'f' AND EXISTS (
    SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgconstraint = con.oid AND t.tgenabled IN ('D', 'R'))
FROM pg_catalog.pg_constraint AS con
WHERE con.conrelid = ANY (%(oids)s::oid[]) AND con.contype IN ('p', 'u', 'c', 'f', 'n')
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint AS up WHERE up.oid = con.conparentid AND up.conrelid = con.conrelid)
ORDER BY 1, 2"""

_INDEXES = """SELECT i.indrelid::bigint, c.relname::text,
  (SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.place)
   FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
   LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
   WHERE k.place <= i.indnkeyatts),
  i.indisunique, i.indisvalid, i.indpred IS NOT NULL,
  EXISTS (SELECT FROM pg_catalog.pg_constraint AS con WHERE con.conindid = i.indexrelid AND con.contype <> 'f'),
  coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
  pg_catalog.pg_stat_get_numscans(i.indexrelid)::bigint, c.relpages::bigint,
  pg_catalog.concat_ws('/', am.amname, i.indkey::text, i.indnkeyatts, i.indclass::text, i.indcollation::text,
    i.indoption::text, pg_catalog.pg_get_expr(i.indexprs, i.indrelid), '//',
    pg_catalog.pg_get_expr(i.indpred, i.indrelid))
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am AS am ON am.oid = c.relam
WHERE i.indrelid = ANY (%(oids)s::oid[]) AND c.relkind = 'i'
ORDER BY 1, 2"""

_SEQUENCES = f"""WITH fed AS (
  SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number FROM pg_catalog.pg_depend AS d
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
  UNION
  SELECT d.refobjid, def.adrelid, def.adnum FROM pg_catalog.pg_depend AS d
  JOIN pg_catalog.pg_attrdef AS def ON def.oid = d.objid
  WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
)
SELECT n.nspname::text, c.relname::text, pg_catalog.pg_sequence_last_value(c.oid::pg_catalog.regclass)::float8,
  s.seqmin::float8, s.seqmax::float8, t.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, NULL)
FROM pg_catalog.pg_sequence AS s
JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN fed ON fed.sequence = c.oid
LEFT JOIN pg_catalog.pg_class AS t ON t.oid = fed.relation
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = fed.relation AND a.attnum = fed.number
WHERE s.seqincrement > 0 AND NOT s.seqcycle AND {_OURS}
  AND CASE c.relkind WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'USAGE, SELECT') END
ORDER BY 1, 2"""

_CONNECTIONS = """SELECT
  (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend')::int,
  pg_catalog.current_setting('max_connections')::int,
  count(*)::int, coalesce(extract(epoch FROM max(now() - state_change)), 0)::float8
FROM pg_catalog.pg_stat_activity
WHERE state LIKE 'idle in transaction%%' AND pid <> pg_catalog.pg_backend_pid()
  AND datname = pg_catalog.current_database() AND now() - state_change > make_interval(secs => %(idle)s)"""
_EXTENSION = """SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'"""
_SLOW = """SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 200), calls::bigint, mean_exec_time, total_exec_time
FROM {schema}.pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
ORDER BY total_exec_time DESC LIMIT %(most)s"""

_LARGEST: Mapping[str, float] = {"smallint": 2.0**15 - 1, "integer": 2.0**31 - 1, "bigint": 2.0**63 - 1}


def read_catalog(
    ask: Ask, attempt: Attempt, options: ValidationOptions, *, own: str, version: int, encoding: str
) -> Catalog:
    """`own` is Bascule's schema, left out. `attempt` is asked what may fail: it answers nothing then, and raises not.

    Raises psycopg.Error.
    """
    rows = ask(_TABLES, {"own": own})
    oids = [row[0] for row in rows]
    keys: dict[int, Key] = {row[0]: (row[1], row[2]) for row in rows}
    sizes: dict[int, int | None] = dict(attempt(_REAL_SIZES, {"oids": oids}, {}, "sizes"))
    about = {"oids": oids, "all": not options.trust_catalog}
    domain_checks: dict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
    for oid, column, name, expression in ask(_DOMAIN_CHECKS, about):
        domain_checks[oid, column].append((name, expression))
    columns: dict[int, list[ColumnFacts]] = defaultdict(list)
    for oid, name, kind, not_null, generated, _number in ask(_COLUMNS, about):
        columns[oid].append(
            ColumnFacts(
                name=name,
                type=kind,
                not_null=not_null,
                generated=generated,
                domain_checks=tuple(domain_checks.get((oid, name), ())),
            )
        )
    constraints = _constraints(ask(_CONSTRAINTS, about), keys)
    indexes: dict[int, list[IndexFacts]] = defaultdict(list)
    for row in ask(_INDEXES, about):
        indexes[row[0]].append(_index(row))
    tables: dict[str, dict[Key, TableFacts]] = {"r": {}, "p": {}}
    for row in rows:
        tables[row[3]][keys[row[0]]] = _table(row, keys, columns, constraints, indexes, sizes)
    unread: dict[str, str] = {}
    sequences = attempt(_SEQUENCES, {"own": own}, unread, "sequences")
    connections = attempt(_CONNECTIONS, {"idle": options.idle_seconds}, unread, "connections")
    return Catalog(
        dialect="postgresql",
        version=version,
        encoding=encoding,
        tables=tables["r"],
        partitioned=tables["p"],
        sequences=_sequences(sequences),
        connections=_connections(connections),
        statements=_statements(attempt),
        unread=unread,
    )


_REAL_SIZES = f"""SELECT oid::bigint, pg_catalog.pg_relation_size(oid) / {BLOCK}
FROM pg_catalog.unnest(%(oids)s::oid[]) AS oid"""


def _table(
    row: tuple[Any, ...],
    keys: Mapping[int, Key],
    columns: Mapping[int, Sequence[ColumnFacts]],
    constraints: Mapping[int, Sequence[ConstraintFacts]],
    indexes: Mapping[int, Sequence[IndexFacts]],
    sizes: Mapping[int, int | None],
) -> TableFacts:
    oid, schema, name, _kind, rows, known, pages, dead, visible, file, partition, above, parent = row
    real = sizes.get(oid)
    real = known if real is None else real
    return TableFacts(
        key=(schema, name),
        rows=_rows(rows, known, real),
        bytes=(pages - known + real) * BLOCK,
        pages=real,
        dead_rows=dead,
        columns=tuple(columns.get(oid, ())),
        constraints=tuple(constraints.get(oid, ())),
        indexes=tuple(indexes.get(oid, ())),
        ancestors=() if partition else tuple(keys[each] for each in above or () if each in keys),
        partition_of=keys.get(parent) if parent is not None else None,
        visible=visible / real if real else 1.0,
        identity=oid,
        file=file,
    )


def _rows(rows: float, known: int, real: int) -> float | None:
    """As the planner does: as dense as when it was counted. None before anybody counted."""
    if rows < 0:
        return None
    return rows * real / known if known else rows


def _constraints(rows: Sequence[tuple[Any, ...]], keys: Mapping[int, Key]) -> dict[int, list[ConstraintFacts]]:
    kinds = {"p": "primary", "u": "unique", "c": "check", "f": "foreign", "n": "not_null"}
    found: dict[int, list[ConstraintFacts]] = defaultdict(list)
    for oid, name, kind, columns, expression, validated, enforced, parent, parents, full, off in rows:
        trouble = f"the triggers of {name} are disabled, so that nobody looks at new rows" if off else ""
        found[oid].append(
            ConstraintFacts(
                name=name,
                kind=kinds[kind],
                columns=tuple(columns or ()),
                expression=expression or "",
                validated=validated,
                enforced=enforced and not off,
                parent=keys.get(parent),
                parent_columns=tuple(parents or ()),
                match_full=full,
                trouble=trouble,
            )
        )
    return found


def _index(row: tuple[Any, ...]) -> IndexFacts:
    _oid, name, columns, unique, valid, partial, constraint, alike, scans, pages, shape = row
    return IndexFacts(
        name=name,
        columns=tuple(columns),
        shape=shape,
        unique=unique,
        valid=valid,
        partial=partial,
        nulls_alike=alike,
        constraint=constraint,
        scans=scans,
        bytes=pages * BLOCK,
    )


def _sequences(rows: Sequence[tuple[Any, ...]]) -> tuple[SequenceFacts, ...]:
    found: dict[tuple[str, str], SequenceFacts] = {}
    for schema, name, last, least, most, table, column, kind in rows:
        end = min(most, _LARGEST.get(kind or "", most))
        used = 0.0 if last is None or end <= least else (last - least) / (end - least)
        feeds = f"{table}.{column} {kind}" if table else ""
        known = found.get((schema, name))
        if known is None or used > known.used:
            shown = name if schema == "public" else f"{schema}.{name}"
            found[schema, name] = SequenceFacts(name=shown, used=used, feeds=feeds)
    return tuple(found.values())


def _connections(rows: Sequence[tuple[Any, ...]]) -> ConnectionFacts | None:
    if not rows:
        return None
    used, most, idle, oldest = rows[0]
    return ConnectionFacts(used=used, most=most, idle_in_transaction=idle, oldest_seconds=oldest)


def _statements(attempt: Attempt) -> tuple[StatementFacts, ...] | None:
    there = attempt(_EXTENSION, {}, {}, "")
    if not there:
        return None
    rows = attempt(_SLOW.format(schema=there[0][0].replace("%", "%%")), {"most": _STATEMENTS}, {}, "")
    # Whoever may look at least sees this database's own statements; none at all means that nobody may.
    if not rows:
        return None
    return tuple(
        StatementFacts(text=text, calls=calls, mean_ms=mean, total_ms=total) for text, calls, mean, total in rows
    )
