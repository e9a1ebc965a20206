"""Making and bringing up to date what Bascule keeps in a target, by one process at a time and without waiting inside
a lock.
"""

from __future__ import annotations

import random
import re
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bascule.databases.postgres.message import identifier, literal
from bascule.databases.postgres.meta import LAYOUT, STRANGER, look_sql, parsed, refuse_newer, refuse_stranger
from bascule.databases.postgres.wire import FATAL_ERROR, IDLE, exchange
from bascule.errors import LockNotAvailable, Refused

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGresult

    from bascule.databases.postgres.connections import Connections
    from bascule.databases.postgres.session import Session

    Connection = psycopg.Connection[tuple[Any, ...]]

PATIENCE: Final = 30.0
"""Seconds to wait for another process that is just making the same."""

_COMMENTS = re.compile(r"^[ ]*--.*\n", re.MULTILINE)
_HERE = Path(__file__).parent
_LOCK: Final = 7025
"""Any number: it keeps our advisory lock apart from those of others over the same name."""
# The bodies are compiled when they are first run, which each of them is in every run's tests: not here as well.
_PREPARE = (
    "SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '5s'; SET LOCAL client_min_messages = warning; "
    "SET LOCAL check_function_bodies = off;"
)

# What is there before, so that what an administrator has granted on it stays.
_THERE = """
DO $there$ BEGIN
  PERFORM set_config('bascule.there', coalesce((
    SELECT string_agg(what, ',')
    FROM (
      SELECT 'c' || oid AS what, relnamespace AS space FROM pg_class
      UNION ALL
      SELECT 'p' || oid, pronamespace FROM pg_proc
    ) AS had
    JOIN pg_namespace AS n ON n.oid = space AND n.nspname = {schema}
  ), ''), true);
END $there$;
"""
# Functions are for everybody as they are made, and an administrator's default privileges may give more away. Who may
# run every function that was there may run a new one too, or would be left with half of them.
_OWNER_ONLY = """
DO $owner$
DECLARE
  there constant text[] := coalesce(string_to_array(current_setting('bascule.there', true), ','), '{{}}');
  given record;
BEGIN
  FOR given IN
    SELECT DISTINCT what, quote_ident(n.nspname) || '.' || name AS name,
      CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS whom
    FROM (
      SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS what, relnamespace AS space,
        quote_ident(relname) AS name, relacl AS acl, relowner AS owner, 'c' || oid AS id
      FROM pg_class WHERE relkind IN ('r', 'S')
      UNION ALL
      SELECT 'FUNCTION', pronamespace, quote_ident(proname) || '(' || pg_get_function_identity_arguments(oid) || ')',
        coalesce(proacl, acldefault('f', proowner)), proowner, 'p' || oid
      FROM pg_proc
    ) AS made
    JOIN pg_namespace AS n ON n.oid = space AND n.nspname = {schema}
    CROSS JOIN LATERAL aclexplode(acl)
    WHERE grantee <> owner AND pg_has_role(owner, 'USAGE') AND id <> ALL (there)
  LOOP
    EXECUTE format('REVOKE ALL ON %s %s FROM %s', given.what, given.name, given.whom);
  END LOOP;
  FOR given IN
    WITH ours AS (
      SELECT p.oid, 'p' || p.oid = ANY (there) AS old, p.proacl, p.proowner,
        format('%I.%I(%s)', n.nspname, proname, pg_get_function_identity_arguments(p.oid)) AS name
      FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace AND n.nspname = {schema}
    ), users AS (
      SELECT grantee FROM ours CROSS JOIN LATERAL aclexplode(proacl)
      WHERE old AND privilege_type = 'EXECUTE' AND grantee <> proowner
      GROUP BY grantee HAVING count(DISTINCT oid) = (SELECT count(*) FROM ours WHERE old)
    )
    SELECT name, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS whom
    FROM ours, users WHERE NOT old AND pg_has_role(proowner, 'USAGE')
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', given.name, given.whom);
  END LOOP;
END
$owner$;
"""


@cache
def code() -> str:
    """Tells apart versions of the functions: SHA-256, in hex, of their texts."""
    import hashlib

    from bascule.databases.postgres.catalog import shape_sql

    texts = "".join((shape_sql("bascule"), *map(_read, ("functions.sql", "preimages.sql", "rowlooks.sql"))))
    return hashlib.sha256(without_comments(texts).encode()).hexdigest()


def is_current(meta: dict[str, Any] | None, schema: str) -> bool:
    """Nothing is left to make. Raises `Refused` (code ``newer_ledger``) when a later Bascule made it."""
    if meta is None:
        return False
    refuse_newer(meta, schema)
    refuse_stranger(meta.get("stranger"), schema)
    return bool(meta["layout"] == LAYOUT and meta["code"] == code())


def prepare(connections: Connections) -> None:
    """Make what is not there, bring up to date what is old. Sends nothing where everything is right.

    Raises:
        Refused: ``newer_ledger``, ``no_rights``, ``read_only``.
        LockNotAvailable: another process was at it all the time.
    """
    if not is_current(connections.main().meta, connections.schema):
        connections.read(lambda session: _install(session, connections.schema), f"make its schema {connections.schema}")


def _install(session: Session, schema: str) -> None:
    import psycopg

    if session.standby:
        raise Refused(
            "The server that answers is a standby, which cannot be written.",
            code="read_only",
            hint="Use the address of the primary.",
        )
    until = time.monotonic() + PATIENCE
    try:
        while not _try_install(session.connection, schema):
            if time.monotonic() > until:
                raise LockNotAvailable(
                    f"Another process has been making the schema {schema} for {PATIENCE:g} s.",
                    code="prepare_busy",
                    hint="Look in pg_stat_activity for who is, then run again.",
                )
            time.sleep(0.02 + random.random() * 0.08)
    except psycopg.errors.InsufficientPrivilege:
        # Functions of another owner that differ in their bodies alone do as well.
        if session.meta is None or session.meta["layout"] != LAYOUT:
            raise
    session.look_again()


def _try_install(connection: Connection, schema: str) -> bool:
    """In one transaction under an advisory lock that is tried, never waited for: whoever waits inside a transaction
    holds up every CREATE INDEX CONCURRENTLY of the database, and would be waited for by it.
    """
    lock = f"SELECT pg_try_advisory_xact_lock(hashtextextended({literal(schema)}, {_LOCK}))"
    look = f"{look_sql(schema)}; SELECT current_setting('bascule.meta', true)"
    try:
        answer = _checked(exchange(connection, f"BEGIN; SET LOCAL search_path = pg_catalog; {lock}; {look}".encode()))
        if answer[2].get_value(0, 0) != b"t":
            return False
        # Asked with the lock held: the process before us may have made everything.
        meta = parsed(answer[4].get_value(0, 0))
        if not is_current(meta, schema):
            _refuse_strangers_empty_schema(connection, schema)
            _checked(exchange(connection, _script(meta, schema).encode()))
        _checked(exchange(connection, b"COMMIT"))
        return True
    finally:
        if not connection.closed and connection.pgconn.transaction_status != IDLE:
            exchange(connection, b"ROLLBACK")


def _refuse_strangers_empty_schema(connection: Connection, schema: str) -> None:
    """A schema that is there already, without anything of Bascule's in it, may be somebody else's too."""
    asked = f"SELECT {STRANGER} FROM pg_catalog.pg_namespace AS n WHERE n.nspname = {literal(schema)}"
    found = _checked(exchange(connection, asked.encode()))[0]
    if found.ntuples:
        refuse_stranger(parsed(found.get_value(0, 0)), schema)


def make_sql(schema: str) -> str:
    """All of it for a database that has nothing of Bascule yet, to be run inside a transaction."""
    return _script(None, schema)


def _script(meta: dict[str, Any] | None, schema: str) -> str:
    from bascule.databases.postgres.catalog import shape_sql

    own = identifier(schema)
    parts = [_PREPARE]
    if meta is None:
        # CREATE SCHEMA IF NOT EXISTS asks for the right to create one even where it is there.
        parts.append(
            f"DO $schema$ BEGIN IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = {literal(schema)}) THEN "
            f"CREATE SCHEMA {own}; REVOKE ALL ON SCHEMA {own} FROM PUBLIC; END IF; END $schema$;"
        )
        parts.append(_read("layout.sql").replace("@schema@", own))
    else:
        parts.append(_THERE.format(schema=literal(schema)))
    parts += (f"{table};" for table in _state_tables(own))
    parts += (shape_sql(schema), ";", _read("functions.sql").replace("@schema@", own), preimages_sql(schema))
    parts.append(_read("rowlooks.sql").replace("@schema@", own))
    if meta is None:
        parts.append(f"INSERT INTO {own}.meta (layout, code) VALUES ({LAYOUT}, '{code()}');")
    else:
        parts.append(f"UPDATE {own}.meta SET layout = {LAYOUT}, code = '{code()}';")
    parts.append(_OWNER_ONLY.format(schema=literal(schema)))
    return without_comments("\n".join(parts))


def _state_tables(own: str) -> list[str]:
    from bascule.state.tables import TABLES, named

    return [named(table, lambda name: f"{own}.{name}") for table in TABLES]


def preimages_sql(schema: str, *, own: str | None = None) -> str:
    """The functions that keep and put back what migrations destroy, made in that schema. `own`: Bascule's, if that is
    another.
    """
    text = _read("preimages.sql").replace("@own@", identifier(own or schema))
    return text.replace("@schema@", identifier(schema))


def without_comments(sql: str) -> str:
    """One of our files as it is sent: a database in another encoding than UTF-8 may lack characters of its comments."""
    return _COMMENTS.sub("", sql)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _checked(results: list[PGresult]) -> list[PGresult]:
    import psycopg

    if results and results[-1].status == FATAL_ERROR:
        raise psycopg.errors.error_from_result(results[-1])
    return results
