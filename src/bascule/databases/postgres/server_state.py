"""Whether anything in a PostgreSQL server may have been written, without reading a row.

A table's own counters lag behind and reset, its file keeps its name through an UPDATE, and the newest xmin is known
after a whole scan only. What proves something is the log: each change of a logged table, and each commit, writes to it
before anybody can see it. While its end has not moved, nothing has changed in any database of the server; once it has,
nobody can say where, so that this serves servers at rest: archives, copies, test databases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

# Unlogged tables leave no trace in the log, and a standby has none of its own.
_END: Final = b"""SELECT pg_catalog.concat_ws(' ', s.system_identifier, d.oid, d.datname, current_user),
  pg_catalog.concat_ws(' ', extract(epoch FROM pg_catalog.pg_postmaster_start_time()),
    CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_insert_lsn() END),
  pg_catalog.pg_is_in_recovery()
    OR EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relpersistence = 'u' AND c.relkind = 'r')
FROM pg_catalog.pg_control_system() AS s, pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database()"""
# Asked after the end of the log: whoever has written to it before then is seen by everybody, or still holds this lock.
# A snapshot does not tell: of the newest transaction it cannot know whether it has begun.
_ALONE: Final = b"SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'transactionid')"


def server_state(connection: Connection) -> tuple[str, str] | None:
    """Which database, seen by whom, and the end of its log; None where that proves nothing. The connection is in no
    transaction. Raises psycopg.Error.
    """
    found = connection.execute(_END).fetchone()
    alone = connection.execute(_ALONE).fetchone()
    if found is None or alone is None or found[2] or not alone[0]:
        return None
    return str(found[0]), str(found[1])
