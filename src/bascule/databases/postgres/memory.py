"""Reading what Bascule keeps in a target: ledger, marks, kept snapshots, journal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple

from bascule.databases.postgres.message import facts_json, literal, to_json
from bascule.databases.postgres.wire import settled
from bascule.domain.history import Fact, LedgerEntry
from bascule.domain.schema import Snapshot

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

Marks = dict[tuple[str, str], dict[int, tuple[str, str]]]

# Time without a zone: with one, the driver would look up the session's zone for each row.
_AT = "AT TIME ZONE 'UTC'"


def read_ledger(connection: Connection, schema: str) -> list[LedgerEntry]:
    """Applied migrations by position, without their scripts. `schema` is quoted, here and below. Raises
    psycopg.Error.
    """
    rows = connection.execute(
        f"SELECT name, version, position, run_id, applied_at {_AT}, execution_ms, exact_hash, semantic_hash, parser, "
        f"how, repeatable FROM {schema}.ledger ORDER BY position"
    ).fetchall()
    utc = UTC
    return [
        LedgerEntry(
            name=name,
            version=version,
            position=position,
            run_id=run_id,
            applied_at=applied_at.replace(tzinfo=utc),
            execution_ms=ms,
            exact_hash=exact,
            semantic_hash=semantic,
            parser=parser,
            how=how,
            repeatable=repeatable,
        )
        for name, version, position, run_id, applied_at, ms, exact, semantic, parser, how, repeatable in rows
    ]


def read_script(connection: Connection, schema: str, migration: str) -> str | None:
    """The up script as it ran."""
    row = connection.execute(f"SELECT script FROM {schema}.ledger WHERE name = {literal(migration)}").fetchone()
    return row[0] if row else None


def read_marks(connection: Connection, schema: str) -> Marks:
    """(migration, direction) → step → (digest, run id)."""
    marks: Marks = {}
    rows = connection.execute(f"SELECT migration, direction, step, digest, run_id FROM {schema}.mark")
    for migration, direction, step, digest, run_id in rows.fetchall():
        marks.setdefault((migration, direction), {})[step] = (digest, run_id)
    return marks


def read_before(connection: Connection, schema: str, migration: str) -> Snapshot | None:
    """The snapshot kept under the migration's name."""
    row = connection.execute(
        f"SELECT snapshot::text FROM {schema}.before WHERE migration = {literal(migration)}"
    ).fetchone()
    if row is None:
        return None
    from bascule.databases.postgres.catalog import snapshot

    return snapshot(row[0])


class Wanted(NamedTuple):
    """Which facts of the journal."""

    migration: str | None = None
    run_id: str | None = None
    limit: int | None = None
    """The newest that many."""
    kinds: Sequence[str] = ()


def read_journal(connection: Connection, schema: str, wanted: Wanted, *, about: str | None) -> list[Fact]:
    """Facts, oldest first. `about`: identity of another database, None for this one."""
    conditions = ["target IS NULL" if about is None else f"target = {literal(about)}::uuid"]
    if wanted.migration is not None:
        conditions.append(f"migration = {literal(wanted.migration)}")
    if wanted.run_id is not None:
        conditions.append(f"run_id = {literal(wanted.run_id)}")
    if wanted.kinds:
        conditions.append(f"kind IN ({','.join(map(literal, wanted.kinds))})")
    most = "" if wanted.limit is None else f" LIMIT {int(wanted.limit)}"
    rows = connection.execute(
        f"SELECT number, at {_AT}, kind, run_id, migration, direction, step, data::text FROM {schema}.journal "
        f"WHERE {' AND '.join(conditions)} ORDER BY number DESC{most}"
    ).fetchall()
    return [
        Fact(
            number=number,
            at=at.replace(tzinfo=UTC),
            kind=kind,
            run_id=run,
            migration=name,
            direction=direction,
            step=step,
            data=json.loads(data) if data != "{}" else {},
        )
        for number, at, kind, run, name, direction, step, data in reversed(rows)
    ]


def append_sql(schema: str, facts: Sequence[Fact], *, durable: bool, about: str | None, ascii_only: bool) -> str:
    """A message that writes facts. `ascii_only`: see `facts_json`."""
    words = literal(to_json(facts_json(facts, ascii_only=ascii_only)))
    return settled(f"SELECT {schema}.append({words}::jsonb, {str(durable).lower()}, {literal(about)}::uuid)")
