"""Putting tables of a backup in the place of those that are there: one transaction, so that nobody ever sees half."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.archive import Entry, read_entries, with_tables
from bascule.databases.postgres.digests import read_digests
from bascule.databases.postgres.dump import SCHEMA, SEQUENCES, name_of
from bascule.databases.postgres.dump_catalog import oids_of, read_database, read_parts, read_populated, read_tables
from bascule.databases.postgres.dump_task import settings_sql
from bascule.databases.postgres.load import (
    Rows,
    Source,
    batched,
    by_stream,
    copy_in,
    local_settings,
    look_for_names,
    make_all,
    owned_sequences,
    run_all,
    set_sequences,
)
from bascule.databases.postgres.made_since import told_since
from bascule.databases.postgres.message import identifier, literal
from bascule.databases.postgres.pg_tools import PgTools
from bascule.databases.postgres.restore_plan import RestorePlan, plan_in_place
from bascule.databases.postgres.standing import keep_ahead, read_standing
from bascule.databases.postgres.tool_access import Access
from bascule.errors import LockNotAvailable, MigrationFailed
from bascule.ports.dump import Guard, Restored, Watch, newer_objects, written_before, written_meanwhile

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_LOOKS = 5
_OUT_OF_MEMORY = "53200"
"""What the server says where its table of locks is full."""
# Who changes the schema between pg_dump's look and our locks changes rows of these.
_CATALOGS = (
    "pg_constraint", "pg_proc", "pg_type", "pg_rewrite", "pg_trigger", "pg_policy", "pg_inherits", "pg_attrdef",
    "pg_description", "pg_seclabel", "pg_statistic_ext",
)  # fmt: skip
_WORLD = "SELECT " + ", ".join(
    f"(SELECT (pg_catalog.count(*), pg_catalog.sum(xmin::text::numeric))::text FROM pg_catalog.{catalog})"
    for catalog in _CATALOGS
)
_RELATIONS = """SELECT (pg_catalog.count(*), pg_catalog.sum(c.xmin::text::numeric))::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_'"""
_COLUMNS = """SELECT (pg_catalog.count(*), pg_catalog.sum(a.xmin::text::numeric))::text
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_'"""


def restore_in_place(
    access: Access,
    source: Source,
    *,
    tools: PgTools,
    schema: str,
    tables: Sequence[str] | None,
    guard: Guard | None = None,
    watch: Watch | None = None,
) -> Restored:
    """Raises what the port says, and psycopg.Error before anything was begun. `schema`: Bascule's own."""
    import psycopg

    begun = time.monotonic()
    data = source.schema_data
    wanted = source.names(tables)
    whole = tables is None and source.manifest.scope == "database"
    coming = source.rows(wanted)
    ends = [source.manifest.stream(SCHEMA), source.manifest.stream(SEQUENCES)]
    source.verify([*ends, *coming], watch)
    entries = source.entries()
    sequences = source.sequences()
    with access.connect() as connection:
        try:
            populated = read_populated(connection, own=schema)
            origin = read_database(connection).origin
            plan = _begin(
                access,
                connection,
                tools,
                schema,
                lambda current: plan_in_place(
                    entries,
                    current,
                    wanted,
                    whole=whole,
                    same_database=origin is not None and origin == data["origin"],
                    words=guard.words if guard is not None else None,
                ),
            )
            if guard is not None:
                _guarded(connection, guard, plan, wanted, own=schema)
            kept_ahead = guard is not None and guard.ahead
            standing = read_standing(connection, [name for name, _, _ in sequences] if kept_ahead else ())
            rows = _perform(connection, source, plan, coming, watch)
            # A sequence that is no part of these tables may have given out values to others since.
            set_sequences(connection, sequences, owned=None if whole else owned_sequences(entries, wanted))
            keep_ahead(connection, standing)
            populated.update(data["refresh"])
            for entry in (*plan.before, *plan.after):
                if entry.kind == "MATERIALIZED VIEW" and name_of(entry) in populated:
                    connection.execute(f"REFRESH MATERIALIZED VIEW {name_of(entry)}")
            if guard is not None and guard.proves:
                written_before(_not_as_before(connection, guard, schema), guard)
            for statement in guard.then if guard is not None else ():
                connection.execute(statement)
            connection.execute("COMMIT")
        except psycopg.errors.LockNotAvailable as exc:
            raise LockNotAvailable(
                "A table that is to be restored is in use, for longer than ten seconds.",
                hint="Nothing was changed. Stop what uses it, then run again.",
            ) from exc
        except psycopg.OperationalError as exc:
            raise _failed(exc, state="unknown" if connection.broken and _was_committing(exc) else "unchanged") from exc
        except psycopg.Error as exc:
            raise _failed(exc) from exc
        finally:
            if not connection.closed and connection.pgconn.transaction_status:
                connection.execute("ROLLBACK")
        # Restored already: that the planner knows less about it for a while is no reason to say it was not.
        for tables_now in batched(rows):
            _analyze(connection, tables_now)
    return Restored(place=access.where(), rows=rows, seconds=time.monotonic() - begun, notes=plan.notes, kept=plan.kept)


def made_since(
    access: Access,
    source: Source,
    *,
    tools: PgTools,
    schema: str,
    tables: Sequence[str] | None,
    words: frozenset[str] | None,
) -> tuple[str, ...]:
    """As the port."""
    wanted, entries = source.names(tables), source.entries()
    whole = tables is None and source.manifest.scope == "database"
    with access.connect() as connection:
        content = tools.dump_schema(access.environment(), snapshot=None, without=schema)
        current = with_tables(read_entries(content), read_parts(connection))
        if words is None:
            return told_since(entries, current, wanted)
        origin = read_database(connection).origin
    same = origin is not None and origin == source.schema_data["origin"]
    return plan_in_place(entries, current, wanted, whole=whole, same_database=same, words=words).goes


def _guarded(connection: Connection, guard: Guard, plan: RestorePlan, wanted: set[str], *, own: str) -> None:
    """The tables are locked. Raises `Refused` where there is more to lose than somebody agreed to."""
    if more := [each for each in plan.goes if each not in guard.goes]:
        raise newer_objects(more)
    if guard.rows is None:
        return
    # As values are printed when tables are digested at other times.
    connection.execute(settings_sql())
    names = wanted.intersection(plan.locked)
    there = read_tables(connection, oids_of(connection, sorted(names), own=own)) if names else ()
    found = [table for table in there if table.name in names and table.kind == "r"]
    for table, now in zip(found, read_digests(connection, [(table, "") for table in found]), strict=True):
        then = guard.rows.get(table.name)
        if now != then and (now.rows or then is not None):
            raise written_meanwhile(table.name)
    connection.execute(local_settings())


def _not_as_before(connection: Connection, guard: Guard, schema: str) -> list[str]:
    names = literal(json.dumps(sorted(guard.proves)))
    row = connection.execute(
        f"SELECT {identifier(schema)}.rows_not_as_before({literal(guard.proves_of)}, {names})"
    ).fetchone()
    assert row is not None, "a function answers"
    return list(row[0])


def _begin(
    access: Access,
    connection: Connection,
    tools: PgTools,
    schema: str,
    plan_for: Callable[[Sequence[Entry]], RestorePlan],
) -> RestorePlan:
    """Begin the transaction with the tables locked, and answer what is to be done in the world as it is then."""
    for _ in range(_LOOKS):
        world = _world(connection)
        # Not inside the transaction: pg_dump would wait for our locks, and we for it.
        content = tools.dump_schema(access.environment(), snapshot=None, without=schema)
        current = with_tables(read_entries(content), read_parts(connection))
        plan = plan_for(current)
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        connection.execute(local_settings())
        if plan.locked:
            names = ", ".join(f"ONLY {name}" for name in plan.locked if name not in _foreign(current))
            if names:
                connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
        if _world(connection) == world:
            return plan
        connection.execute("ROLLBACK")
    raise MigrationFailed(
        "The schema was changed all the time while the restore was about to begin.",
        code="restore_failed",
        hint="Nothing was changed by it. Run again when that has ended.",
    )


def _perform(
    connection: Connection, source: Source, plan: RestorePlan, coming: Sequence[Rows], watch: Watch | None
) -> dict[str, int]:
    run_all(connection, plan.drops)
    look_for_names(connection, source.schema_data.get("path"), local=True)
    make_all(connection, map(_unless_there, plan.before))
    rows: dict[str, int] = {}
    whole, done = sum(each.plain_bytes for each in coming), 0

    def loaded(what: Rows, count: int) -> None:
        nonlocal done
        rows[what.table] = rows.get(what.table, 0) + count
        done += what.plain_bytes
        if watch is not None:
            watch(what.table, done, whole)

    for together in by_stream(coming):
        # Made in this transaction, so its rows can be written as if they had always been there.
        copy_in(connection, source, together, freeze=True, loaded=loaded)
    make_all(connection, map(_unless_there, plan.after))
    return rows


def _unless_there(entry: Entry) -> Entry:
    if entry.kind != "SCHEMA" or not entry.sql:
        return entry
    return replace(entry, sql=f"CREATE SCHEMA IF NOT EXISTS {identifier(entry.tag)}", owner="")


def _world(connection: Connection) -> tuple[Any, ...]:
    one, two = connection.execute(_WORLD).fetchone(), connection.execute(_RELATIONS).fetchone()
    three = connection.execute(_COLUMNS).fetchone()
    return (*(one or ()), *(two or ()), *(three or ()))


def _foreign(entries: Sequence[Entry]) -> set[str | None]:
    return {entry.table for entry in entries if entry.kind == "FOREIGN TABLE"}


def _analyze(connection: Connection, tables: Sequence[str]) -> None:
    import psycopg

    if connection.broken:
        return
    try:
        connection.execute(f"ANALYZE {', '.join(tables)}")
    except psycopg.Error:
        for table in tables if len(tables) > 1 else ():
            _analyze(connection, [table])


def _was_committing(exc: BaseException) -> bool:
    # The server tells why it ends a connection while a statement runs; after COMMIT was sent there may be no word.
    return getattr(exc, "sqlstate", None) is None


def _failed(exc: BaseException, *, state: str = "unchanged") -> MigrationFailed:
    words = " ".join(str(exc).split())
    if state == "unknown":
        return MigrationFailed(
            f"The connection was lost while the backup was being restored: {words}.",
            code="restore_failed",
            state="unknown",
            hint="It is one transaction: either everything was restored or nothing. Look at a table, and restore again "
            "if it was not.",
        )
    hint = "Look at the server's words."
    if getattr(exc, "sqlstate", None) == _OUT_OF_MEMORY:
        hint = (
            "A transaction that makes so many tables anew needs more locks than the server has room for: raise its "
            "max_locks_per_transaction, restore some of the tables (--table), or all to another database (--to)."
        )
    return MigrationFailed(
        f"The backup could not be restored: {words}.",
        code="restore_failed",
        hint=f"Nothing was changed: it was one transaction. {hint}",
    )
