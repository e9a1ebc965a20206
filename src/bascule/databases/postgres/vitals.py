"""What PostgreSQL says of itself while a run is at work."""

from __future__ import annotations

from typing import Any, Final

from bascule.databases.postgres.connections import Connections
from bascule.databases.postgres.message import literal
from bascule.databases.postgres.session import Session
from bascule.ports.vitals import Sample

_OWN: Final = """SELECT a.pid FROM pg_catalog.pg_stat_activity AS a
  WHERE a.datname = pg_catalog.current_database() AND pg_catalog.right(a.application_name, {length}) = {tag}"""
_BACKEND: Final = """
  (SELECT sum(w.wal_bytes)::bigint FROM own, LATERAL pg_catalog.pg_stat_get_backend_wal(own.pid) AS w),
  (SELECT sum(i.read_bytes)::bigint FROM own, LATERAL pg_catalog.pg_stat_get_backend_io(own.pid) AS i),
  (SELECT sum(coalesce(i.write_bytes, 0) + coalesce(i.extend_bytes, 0))::bigint
   FROM own, LATERAL pg_catalog.pg_stat_get_backend_io(own.pid) AS i)"""
_WAL: Final = """CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL
  ELSE pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::bigint END"""
_IO: Final = """(SELECT sum(reads * op_bytes)::bigint FROM pg_catalog.pg_stat_io WHERE backend_type = 'client backend'),
  (SELECT sum((coalesce(writes, 0) + coalesce(extends, 0)) * op_bytes)::bigint
   FROM pg_catalog.pg_stat_io WHERE backend_type = 'client backend')"""
_BLOCKS: Final = "d.blks_read * pg_catalog.current_setting('block_size')::bigint, NULL::bigint"
_SAMPLE: Final = """WITH own AS ({own})
SELECT
  (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a
   WHERE a.datname = d.datname AND a.backend_type = 'client backend'),
  (SELECT max(extract(epoch FROM pg_catalog.clock_timestamp() - l.waitstart) * 1000)::bigint
   FROM pg_catalog.pg_locks AS l JOIN own USING (pid) WHERE NOT l.granted),
  d.temp_bytes, {rest}
FROM pg_catalog.pg_stat_database AS d WHERE d.datname = pg_catalog.current_database()"""


class PostgresVitals:
    """See `bascule.ports.vitals`."""

    def __init__(self, connections: Connections, *, tag: str) -> None:
        """`tag`: of the sessions that the run works on."""
        self._connections = connections
        self._tag = tag

    def sample(self) -> Sample:
        """Look."""
        return self._connections.read(self._look, "look how the server is doing")

    def close(self) -> None:
        """Hang up."""
        self._connections.close()

    def _look(self, session: Session) -> Sample:
        version = session.connection.info.server_version
        own = _OWN.format(length=len(self._tag), tag=literal(self._tag))
        row: tuple[Any, ...] | None = session.connection.execute(
            _SAMPLE.format(own=own, rest=_rest(version))
        ).fetchone()
        if row is None:
            return Sample()
        connections, waiting, temporary, wal, read, written = row
        return Sample(
            connections=connections,
            lock_wait_ms=waiting,
            temp_bytes=temporary,
            wal_bytes=wal,
            read_bytes=read,
            written_bytes=written,
        )


def _rest(version: int) -> str:
    if version >= 180000:
        return _BACKEND
    return f"{_WAL}, {_IO if version >= 160000 else _BLOCKS}"
