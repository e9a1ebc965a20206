"""What a dump has to know of the tables: columns, keys, sizes, sequences, and which object is a part of which table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from bascule.errors import Refused

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

BLOCK = 8192
_AT_ONCE = 200
_NO_TRANSACTION = 0
"""libpq's PQTRANS_IDLE."""

# Objects of extensions come with their extension, and other sessions' temporary tables are nobody else's business.
_OURS = """c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %(own)s)
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
  )"""
_ALL = f"""SELECT c.oid::bigint
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND {_OURS}"""
_NAMED = """SELECT name, c.oid::bigint, c.relkind::text, n.nspname::text
FROM unnest(%(names)s::text[]) AS name
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(name)
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"""
_DESCENDANTS = """WITH RECURSIVE tree AS (
  SELECT oid FROM unnest(%(oids)s::oid[]) AS oid
  UNION
  SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree ON i.inhparent = tree.oid
)
SELECT oid::bigint FROM tree"""
_TABLES = """SELECT
  c.oid::bigint,
  pg_catalog.format('%%I.%%I', n.nspname, c.relname),
  c.relkind::text,
  pg_catalog.pg_relation_size(c.oid)::bigint,
  pg_catalog.pg_relation_size(c.oid) + coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0),
  (SELECT pg_catalog.array_agg(i.inhparent::bigint ORDER BY i.inhseqno)
   FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid),
  (SELECT pg_catalog.array_agg(k.attnum::int ORDER BY k.place)
   FROM pg_catalog.pg_index AS x, pg_catalog.unnest(x.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
   WHERE x.indrelid = c.oid AND x.indisprimary AND x.indisvalid)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%(oids)s::oid[])
ORDER BY 2"""
_NAMES = """SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname), c.relkind::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%(oids)s::oid[])
ORDER BY 1"""
_COLUMNS = """WITH RECURSIVE base AS (
  SELECT t.oid AS type, t.oid AS found, t.typbasetype AS next, t.typtypmod AS mod FROM pg_catalog.pg_type AS t
  UNION ALL
  SELECT base.type, t.oid, t.typbasetype, CASE WHEN base.mod >= 0 THEN base.mod ELSE t.typtypmod END
  FROM base JOIN pg_catalog.pg_type AS t ON t.oid = base.next
)
SELECT
  a.attrelid::bigint, a.attnum::int, a.attname::text, pg_catalog.quote_ident(a.attname),
  pg_catalog.format_type(a.atttypid, a.atttypmod),
  base.found::bigint, CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE base.mod END,
  a.attgenerated::text,
  (SELECT pg_catalog.format('%%I.%%I', cn.nspname, l.collname)
   FROM pg_catalog.pg_collation AS l JOIN pg_catalog.pg_namespace AS cn ON cn.oid = l.collnamespace
   JOIN pg_catalog.pg_type AS own ON own.oid = a.atttypid
   WHERE l.oid = a.attcollation AND a.attcollation <> own.typcollation)
FROM pg_catalog.pg_attribute AS a
JOIN base ON base.type = a.atttypid AND base.next = 0
WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY 1, 2"""
_PART_ROWS = """SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS catalog, oid, oid AS owner FROM pg_catalog.pg_class
  UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, indexrelid, indrelid FROM pg_catalog.pg_index
  UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, oid, conrelid FROM pg_catalog.pg_constraint
  UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, oid, tgrelid FROM pg_catalog.pg_trigger
  UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, oid, ev_class FROM pg_catalog.pg_rewrite
  UNION ALL SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, oid, polrelid FROM pg_catalog.pg_policy
  UNION ALL SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, oid, adrelid FROM pg_catalog.pg_attrdef
  UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, oid, stxrelid FROM pg_catalog.pg_statistic_ext
  UNION ALL
  SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, d.objid, d.refobjid
  FROM pg_catalog.pg_depend AS d
  JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')"""
_PARTS = f"""WITH part AS (
  {_PART_ROWS}
)
SELECT part.catalog::oid::bigint, part.oid::bigint, pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM part
JOIN pg_catalog.pg_class AS c ON c.oid = part.owner AND c.relkind IN ('r', 'p', 'f')
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
_EXTENSIONS = f"""WITH part AS (
  {_PART_ROWS}
)
SELECT DISTINCT x.extname::text
FROM part
JOIN pg_catalog.pg_depend AS d ON d.classid = part.catalog AND d.objid = part.oid
JOIN pg_catalog.pg_depend AS e ON e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e'
JOIN pg_catalog.pg_extension AS x ON x.oid = e.refobjid
WHERE e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND part.owner = ANY (%(oids)s::oid[])"""
_SEQUENCES = """SELECT c.oid::bigint, pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY 2"""
_POPULATED = f"""SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND c.relispopulated AND {_OURS}"""
_DATABASE = """SELECT
  pg_catalog.current_setting('server_version_num')::int,
  pg_catalog.current_setting('server_version'),
  pg_catalog.current_database()::text,
  pg_catalog.pg_encoding_to_char(d.encoding)::text,
  (pg_catalog.to_jsonb(d) ->> 'datcollate'),
  (pg_catalog.to_jsonb(d) ->> 'datctype'),
  coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'),
  coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale'),
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata),
  CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
    THEN (SELECT system_identifier::text || '/' || d.oid FROM pg_catalog.pg_control_system()) END,
  (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path')
FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that holds values of its own: generated ones are computed anew."""

    name: str
    quoted: str
    type: str
    """As SQL writes it, with its modifiers."""
    base: int
    """Oid of the type under all domains."""
    modifier: int
    collation: str | None = None
    """Where it is not that of its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of a dump."""

    oid: int
    name: str
    """Qualified, quoted as the server prints it."""
    kind: str
    """``r`` has rows, ``p`` is partitioned, ``f`` foreign."""
    size: int
    """Bytes of its rows, without what is stored outside them and without indexes."""
    whole_size: int
    """Bytes with what is stored outside the rows."""
    parents: tuple[str, ...]
    """Those it is a partition or a child of, as far as they are in the dump."""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Names of the primary key's columns."""
    generated: bool
    """It has columns that are computed."""

    @property
    def blocks(self) -> int:
        """Blocks of its rows, about."""
        return -(-self.size // BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """The database a dump is of."""

    version: int
    version_text: str
    name: str
    encoding: str
    collate: str
    ctype: str
    provider: str
    locale: str | None
    large_objects: int
    origin: str | None
    """What tells it from every other database; None where the server keeps that to itself."""
    path: str
    """Where sessions of this role look for names, if they say nothing of it: functions that compute columns and index
    entries may be written for that."""

    @property
    def major(self) -> int:
        """Of the server."""
        return self.version // 10000

    @property
    def made_with(self) -> dict[str, Any]:
        """What another database has to be made with to hold the same."""
        names = ("encoding", "collate", "ctype", "provider", "locale")
        return {name: value for name, value in asdict(self).items() if name in names}


@contextmanager
def locks_given_back(connection: Connection) -> Iterator[None]:
    """In a transaction, the locks of what is read in the block are held no longer than that. Whoever reads thousands of
    tables would fill the server's table of locks; that they stay, another lock sees to.
    """
    if connection.info.transaction_status == _NO_TRANSACTION:
        yield
        return
    connection.execute("SAVEPOINT bascule_locks")
    yield
    connection.execute("ROLLBACK TO SAVEPOINT bascule_locks; RELEASE SAVEPOINT bascule_locks")


def read_database(connection: Connection) -> DatabaseFacts:
    """Who answers."""
    row = connection.execute(_DATABASE).fetchone()
    assert row is not None, "there is a current database"
    return DatabaseFacts(**dict(zip((each.name for each in fields(DatabaseFacts)), row, strict=True)))


def oids_of(connection: Connection, names: Sequence[str] | None, *, own: str) -> list[int]:
    """The tables of these names with all partitions and children; without names all tables but Bascule's own.

    Raises `Refused` (``no_such_table``).
    """
    if names is None:
        return [row[0] for row in connection.execute(_ALL, {"own": own})]
    found = []
    for name, oid, kind, schema in connection.execute(_NAMED, {"names": list(names)}):
        if oid is None:
            raise Refused(f"There is no table {name}.", code="no_such_table", hint="Name it as SQL would, with schema.")
        if kind not in ("r", "p", "f"):
            raise Refused(f"{name} is not a table.", code="no_such_table", hint="Name tables; views hold no rows.")
        if schema == own:
            raise Refused(f"{name} is Bascule's own.", code="no_such_table", hint="Its state is in no backup.")
        found.append(oid)
    return [row[0] for row in connection.execute(_DESCENDANTS, {"oids": found})]


def read_names(connection: Connection, oids: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """Name and kind of these tables, by name; as those of `Table`."""
    return tuple((name, kind) for name, kind in connection.execute(_NAMES, {"oids": list(oids)}))


def read_tables(connection: Connection, oids: Sequence[int]) -> tuple[Table, ...]:
    """These tables, by name."""
    columns: dict[int, dict[int, tuple[Column, bool]]] = {}
    for oid, number, name, quoted, type_, base, modifier, generated, collation in connection.execute(
        _COLUMNS, {"oids": list(oids)}
    ):
        column = Column(name=name, quoted=quoted, type=type_, base=base, modifier=modifier, collation=collation)
        columns.setdefault(oid, {})[number] = (column, bool(generated))
    rows = connection.execute(_TABLES, {"oids": list(oids)}).fetchall()
    names = {row[0]: row[1] for row in rows}
    found = []
    for oid, name, kind, size, whole, parents, key in rows:
        own = columns.get(oid, {})
        kept = {number: column for number, (column, generated) in own.items() if not generated}
        found.append(
            Table(
                oid=oid,
                name=name,
                kind=kind,
                size=size if kind == "r" else 0,
                whole_size=whole if kind == "r" else 0,
                parents=tuple(names[each] for each in parents or () if each in names),
                columns=tuple(kept.values()),
                # A key over a computed column would need it to be read.
                key=tuple(kept[each].name for each in key) if key and all(each in kept for each in key) else (),
                generated=len(kept) < len(own),
            )
        )
    return tuple(found)


def read_parts(connection: Connection) -> Mapping[tuple[int, int], str]:
    """By catalog and oid of an index, constraint, trigger, sequence… the table that it is a part of."""
    return {(catalog, oid): name for catalog, oid, name in connection.execute(_PARTS)}


def read_extensions(connection: Connection, oids: Sequence[int]) -> set[str]:
    """Extensions that parts of these tables are made with. pg_dump does not tell that of an index's operator classes
    where the index is a constraint's.
    """
    return {row[0] for row in connection.execute(_EXTENSIONS, {"oids": list(oids)})}


def read_sequences(connection: Connection, oids: Sequence[int]) -> tuple[tuple[str, int, bool], ...]:
    """Name, last value, and whether that was given out. Not of a snapshot: sequences know none."""
    wanted = set(oids)
    names = [name for oid, name in connection.execute(_SEQUENCES) if oid in wanted]
    found: list[tuple[str, int, bool]] = []
    for start in range(0, len(names), _AT_ONCE):
        asked = names[start : start + _AT_ONCE]
        with locks_given_back(connection):
            cursor = connection.execute(";".join(f"SELECT last_value, is_called FROM {name}" for name in asked))
            for name in asked:
                row = cursor.fetchone()
                assert row is not None, "a sequence is one row"
                found.append((name, row[0], row[1]))
                cursor.nextset()
    return tuple(found)


def read_populated(connection: Connection, *, own: str) -> set[str]:
    """Materialized views that hold something."""
    return {row[0] for row in connection.execute(_POPULATED, {"own": own})}
