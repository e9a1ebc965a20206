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

    from bascule.domain.metrics import Tally

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
    after: int = 0
    """Those of a greater number."""


def read_journal(connection: Connection, schema: str, wanted: Wanted, *, about: str | None) -> list[Fact]:
    """Facts, oldest first. `about`: identity of another database, None for this one."""
    conditions = [_about(about)]
    if wanted.migration is not None:
        conditions.append(f"migration = {literal(wanted.migration)}")
    if wanted.run_id is not None:
        conditions.append(f"run_id = {literal(wanted.run_id)}")
    if wanted.after:
        conditions.append(f"number > {int(wanted.after)}")
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


def read_tally(connection: Connection, schema: str, *, about: str | None, after: int, upto: int | None) -> list[Tally]:
    """As `Target.tally`."""
    from bascule.domain.metrics import COUNTED, Tally

    where = f"{_about(about)} AND number > {int(after)}" + ("" if upto is None else f" AND number <= {int(upto)}")
    day = f"pg_catalog.to_char(at {_AT}, 'YYYY-MM-DD')"
    rows = connection.execute(
        f"""SELECT {day}, kind, direction, '', count(*), coalesce(sum((data ->> 'ms')::numeric), 0)::bigint,
  count(data ->> 'ms'), max(at) {_AT}
FROM {schema}.journal WHERE {where} AND kind IN ({",".join(map(literal, COUNTED))}) GROUP BY 1, 2, 3
UNION ALL
SELECT {day}, kind, direction, rule, count(*), 0, 0, max(at) {_AT}
FROM {schema}.journal, LATERAL pg_catalog.jsonb_array_elements_text(
  CASE WHEN pg_catalog.jsonb_typeof(data -> 'rules') = 'array' THEN data -> 'rules' ELSE '[]' END) AS rule
WHERE {where} AND kind = 'validation_failed' GROUP BY 1, 2, 3, 4"""
    ).fetchall()
    return [
        Tally(
            day=of_day,
            kind=kind,
            direction=direction,
            rule=rule,
            count=count,
            ms=ms,
            timed=timed,
            last=last.replace(tzinfo=UTC),
        )
        for of_day, kind, direction, rule, count, ms, timed, last in rows
    ]


def read_newest(connection: Connection, schema: str, *, about: str | None, older_than: float) -> int:
    """As `Target.newest_fact`."""
    where = _about(about)
    if older_than:
        where += f" AND at < pg_catalog.clock_timestamp() - '{float(older_than)} seconds'::interval"
    row = connection.execute(
        f"SELECT number FROM {schema}.journal WHERE {where} ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return int(row[0]) if row else 0


def _about(about: str | None) -> str:
    return "target IS NULL" if about is None else f"target = {literal(about)}::uuid"


def append_sql(schema: str, facts: Sequence[Fact], *, durable: bool, about: str | None, ascii_only: bool) -> str:
    """A message that writes facts. `ascii_only`: see `facts_json`."""
    words = literal(to_json(facts_json(facts, ascii_only=ascii_only)))
    return settled(f"SELECT {schema}.append({words}::jsonb, {str(durable).lower()}, {literal(about)}::uuid)")
