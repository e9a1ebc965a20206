"""What has been changed since a migration ran, and not by Bascule: told by who wrote the catalog's rows.

Each row of the catalog bears the number of the transaction that wrote it, and each transaction of Bascule has left a
fact in its journal, whose row bears the same number. So a row that is newer than the up, and of none of these
transactions, is somebody else's. Numbers of another server (a database that was dumped and loaded, or upgraded) are
recognised: there the look's own table is younger than what is in it, or the look and the facts of its transaction bear
different numbers. Nobody can tell then, and neither where a statement ran outside of a transaction, or a backup was put
back, since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from bascule.databases.postgres.message import literal

if TYPE_CHECKING:
    from bascule.domain.schema import Part

_TABLES = ("table ", "view ", "materialized view ")
_ROUTINES = ("function ", "procedure ")
# Of two arrays, `unnest` is part of the grammar: it cannot be written with its schema, and nobody can replace it.
_ASKED = """
WITH up AS (
  SELECT b.xmin AS number FROM {schema}.before AS b
  JOIN pg_catalog.pg_attribute AS made
    ON made.attrelid = {regclass}::pg_catalog.regclass AND made.attname = 'migration'
  WHERE b.migration = {migration}
    AND pg_catalog.age(made.xmin) > pg_catalog.age(b.xmin)
    AND EXISTS (
      SELECT FROM {schema}.journal AS j WHERE j.migration = b.migration AND j.direction = 'up' AND j.xmin = b.xmin)
    AND NOT EXISTS (
      SELECT FROM {schema}.journal AS j
      WHERE j.kind IN ('step_started', 'restore_started') AND pg_catalog.age(j.xmin) <= pg_catalog.age(b.xmin))
), ours AS (
  SELECT DISTINCT j.xmin::text AS number FROM {schema}.journal AS j
), relation AS (
  SELECT w.key, c.oid
  FROM unnest({keys}::text[], {names}::text[]) AS w (key, name)
  JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(w.name)
), written AS (
  SELECT key, 'column' AS part, a.attname::text AS name, a.xmin AS number
  FROM relation AS r JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT key, 'column', a.attname, f.xmin
  FROM relation AS r JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = r.oid
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
  UNION ALL
  SELECT key, 'constraint', k.conname, k.xmin
  FROM relation AS r JOIN pg_catalog.pg_constraint AS k ON k.conrelid = r.oid
  UNION ALL
  SELECT key, 'index', c.relname, i.xmin
  FROM relation AS r JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  UNION ALL
  SELECT key, 'trigger', t.tgname, t.xmin
  FROM relation AS r JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.oid AND NOT t.tgisinternal
  UNION ALL
  SELECT key, 'comment', coalesce(a.attname, ''), d.xmin
  FROM relation AS r
  JOIN pg_catalog.pg_description AS d ON d.objoid = r.oid AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum = d.objsubid AND d.objsubid > 0
  UNION ALL
  SELECT w.key, '', '', p.xmin
  FROM unnest({routine_keys}::text[], {routines}::text[]) AS w (key, name)
  JOIN pg_catalog.pg_proc AS p ON p.oid = pg_catalog.to_regprocedure(w.name)
)
SELECT '', '', '' FROM up
UNION
SELECT w.key, w.part, w.name FROM written AS w, up
WHERE pg_catalog.age(w.number) < pg_catalog.age(up.number) AND w.number::text NOT IN (SELECT number FROM ours)
"""


def sql(schema: str, migration: str, keys: Collection[str]) -> str:
    """The question. `schema`: Bascule's, quoted; `keys`: of objects, as in a `Snapshot`."""
    relations = [(key, key.removeprefix(kind)) for key in keys for kind in _TABLES if key.startswith(kind)]
    routines = [(key, key.removeprefix(kind)) for key in keys for kind in _ROUTINES if key.startswith(kind)]
    return _ASKED.format(
        schema=schema,
        regclass=literal(f"{schema}.before"),
        migration=literal(migration),
        keys=_array(key for key, _ in relations),
        names=_array(name for _, name in relations),
        routine_keys=_array(key for key, _ in routines),
        routines=_array(name for _, name in routines),
    )


def read(rows: Collection[tuple[str, str, str]]) -> frozenset[Part] | None:
    """The answer; None: nobody can tell."""
    found = {(key, part, name) for key, part, name in rows}
    if ("", "", "") not in found:
        return None
    return frozenset(found - {("", "", "")})


def _array(texts: Iterable[str]) -> str:
    return f"ARRAY[{','.join(map(literal, texts))}]"
