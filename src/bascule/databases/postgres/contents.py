"""Digests of what a few tables hold, below a size and within a time, for the report of a run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.digests import read_digest
from bascule.databases.postgres.dump_catalog import read_tables
from bascule.databases.postgres.dump_task import settings_sql
from bascule.domain.content import Content
from bascule.domain.statement import ObjectName
from bascule.validation.needs.writing import table_name

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_NO_WAIT: Final = "SET LOCAL lock_timeout = 500"
# With their partitions and children, which a plain name stands for, too.
_NAMED: Final = """WITH RECURSIVE named AS (
  SELECT asked.number, c.oid, c.relkind
  FROM pg_catalog.unnest(%(names)s::text[]) WITH ORDINALITY AS asked(name, number)
  JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(asked.name)
), tree AS (
  SELECT number, oid FROM named
  UNION SELECT tree.number, i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree ON i.inhparent = tree.oid
)
SELECT named.number::int, named.oid::bigint, named.relkind::text,
  (SELECT coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(tree.oid)), 0)::bigint FROM tree
   WHERE tree.number = named.number)
FROM named"""


def read_contents(
    connection: Connection, tables: Sequence[ObjectName], *, most: int, seconds: float
) -> Iterator[tuple[ObjectName, Content]]:
    """Within a transaction that reads, the smallest first; those that are not there are left out. Raises psycopg.Error
    for what is no matter of time.
    """
    import psycopg

    until = time.monotonic() + seconds
    # Names mean what they mean to the migration; the settings take its search path away.
    rows = connection.execute(_NAMED, {"names": [table_name(each) for each in tables]}).fetchall()
    connection.execute(f"{settings_sql()}; SET LOCAL statement_timeout = {round(seconds * 1000)}; {_NO_WAIT}")
    rows.sort(key=lambda row: int(row[3]))
    read = {each.oid: each for each in read_tables(connection, [row[1] for row in rows])}
    late = False
    for number, oid, kind, size in rows:
        name, table = tables[number - 1], read.get(oid)
        if table is None or kind not in ("r", "p"):
            yield name, Content(why="it holds no rows of its own")
        elif size > most:
            yield name, Content(why=f"it is larger than {most >> 20} MiB")
        elif late or (left := round((until - time.monotonic()) * 1000)) < 1:
            yield name, Content(why=f"all digests together may take {seconds:g} s")
        else:
            connection.execute(f"SET LOCAL statement_timeout = {left}")
            try:
                digest = read_digest(connection, table, source=table.name)
            except psycopg.errors.QueryCanceled:
                # The transaction is over with that statement.
                late = True
                yield name, Content(why=f"all digests together may take {seconds:g} s")
            else:
                yield name, Content(columns=digest.columns, key=table.key)
