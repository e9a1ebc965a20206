"""What the database remembers, row by row: ledger, step marks, looks of before, and the fence.

A look of before is kept in ``bascule_before``. Where the ledger row is written by the same job it rides in that row
instead: each further table that a transaction changes costs two more writes to the disk. The first look is the one
that counts; in ``bascule_before`` is the older one where there are two.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from bascule.domain.history import LedgerEntry
from bascule.domain.schema import Snapshot
from bascule.ports.database import Job, LedgerChange

NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
_INSERT = f"""INSERT INTO main.bascule_ledger
  (name, version, run_id, execution_ms, exact_hash, semantic_hash, parser, how, repeatable, script, before, applied_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {NOW})"""
_SET = """version = ?, run_id = ?, execution_ms = ?, exact_hash = ?, semantic_hash = ?, parser = ?, how = ?,
  repeatable = ?"""
_REPLACE = f"""UPDATE main.bascule_ledger SET {_SET}, script = ?, before = coalesce(before, ?), applied_at = {NOW},
  position = 1 + (SELECT max(position) FROM main.bascule_ledger)
WHERE name = ?"""
# A corrected entry was read from the ledger, which leaves the scripts out: an empty one takes nothing away.
_CORRECT = f"UPDATE main.bascule_ledger SET {_SET}, script = coalesce(nullif(?, ''), script) WHERE name = ?"
_PUT_BACK = """INSERT INTO main.bascule_ledger
  (name, version, run_id, execution_ms, exact_hash, semantic_hash, parser, how, repeatable, script, before, position,
  applied_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_READ = """SELECT
  name, version, position, run_id, applied_at, execution_ms, exact_hash, semantic_hash, parser, how, repeatable
FROM main.bascule_ledger ORDER BY position"""


def read_ledger(connection: sqlite3.Connection) -> list[LedgerEntry]:
    """All entries by position, without their scripts."""
    return [_entry(row) for row in connection.execute(_READ).fetchall()]


def read_script(connection: sqlite3.Connection, migration: str) -> str | None:
    """The up script of an entry; None where there is no entry or it kept none."""
    row = connection.execute("SELECT script FROM main.bascule_ledger WHERE name = ?", (migration,)).fetchone()
    return (row[0] or None) if row else None


def change_ledger(connection: sqlite3.Connection, change: LedgerChange, *, took_ms: int, before: str | None) -> None:
    """Write or remove an entry. `before` is a look, as `look_as_text` gave it, to ride in the entry that is written."""
    if change.remove is not None:
        # The look stays until it is told to go.
        connection.execute(
            "INSERT OR IGNORE INTO main.bascule_before SELECT name, before FROM main.bascule_ledger "
            "WHERE name = ? AND before IS NOT NULL",
            (change.remove,),
        )
        connection.execute("DELETE FROM main.bascule_ledger WHERE name = ?", (change.remove,))
    if change.entry is not None:
        _write_entry(connection, change.entry, took_ms=took_ms, before=before)


def _write_entry(connection: sqlite3.Connection, entry: LedgerEntry, *, took_ms: int, before: str | None) -> None:
    values = (
        entry.name,
        entry.version,
        entry.run_id,
        entry.execution_ms or took_ms,
        entry.exact_hash,
        entry.semantic_hash,
        entry.parser,
        entry.how,
        entry.repeatable,
        entry.script,
    )
    if entry.position:
        if connection.execute(_CORRECT, (*values[1:], entry.name)).rowcount == 0:
            connection.execute(_PUT_BACK, (*values, before, entry.position, _as_text(entry.applied_at)))
        return
    # Nearly always it is a new one, and "ON CONFLICT" costs every migration the time to compile it.
    try:
        connection.execute(_INSERT, (*values, before))
    except sqlite3.IntegrityError:
        connection.execute(_REPLACE, (*values[1:], before, entry.name))


def read_marks(connection: sqlite3.Connection) -> dict[tuple[str, str], dict[int, tuple[str, str]]]:
    """Of every script under way."""
    marks: dict[tuple[str, str], dict[int, tuple[str, str]]] = {}
    rows = connection.execute("SELECT migration, direction, step, digest, run_id FROM main.bascule_step").fetchall()
    for migration, direction, step, digest, run_id in rows:
        marks.setdefault((migration, direction), {})[step] = (digest, run_id)
    return marks


def change_marks(connection: sqlite3.Connection, job: Job) -> None:
    """Write the job's mark, or clear those of its migration."""
    if job.mark is not None:
        connection.execute(
            "INSERT OR REPLACE INTO main.bascule_step VALUES (?, ?, ?, ?, ?)",
            (job.migration, job.direction, job.mark.step, job.mark.digest, job.run_id),
        )
    if job.clear_marks:
        connection.execute("DELETE FROM main.bascule_step WHERE migration = ?", (job.migration,))


def read_before(connection: sqlite3.Connection, migration: str) -> Snapshot | None:
    """The look kept under the migration's name."""
    for place in (
        "SELECT snapshot FROM main.bascule_before WHERE migration = ?",
        "SELECT before FROM main.bascule_ledger WHERE name = ? AND before IS NOT NULL",
    ):
        row = connection.execute(place, (migration,)).fetchone()
        if row is not None:
            import json

            kept = json.loads(row[0])
            return Snapshot(objects=kept["objects"], whole=kept["whole"])
    return None


def look_as_text(snapshot: Snapshot) -> str:
    """A look as it is kept."""
    import json

    return json.dumps({"objects": snapshot.objects, "whole": snapshot.whole})


def keep_before(connection: sqlite3.Connection, migration: str, look: str) -> None:
    """Keep a look in a row of its own, under the migration's name, unless there is one."""
    connection.execute("INSERT OR IGNORE INTO main.bascule_before VALUES (?, ?)", (migration, look))


def forget_older(connection: sqlite3.Connection, migration: str) -> None:
    """Remove the look kept under the name of a migration that was rolled back and runs anew: how things are now is what
    counts.
    """
    connection.execute(
        "DELETE FROM main.bascule_before WHERE migration = ?1 "
        "AND NOT EXISTS (SELECT 1 FROM main.bascule_ledger WHERE name = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM main.bascule_step WHERE migration = ?1)",
        (migration,),
    )


def forget_before(connection: sqlite3.Connection, migration: str) -> None:
    """Remove the look kept under the migration's name."""
    connection.execute("DELETE FROM main.bascule_before WHERE migration = ?", (migration,))
    connection.execute(
        "UPDATE main.bascule_ledger SET before = NULL WHERE name = ? AND before IS NOT NULL", (migration,)
    )


def read_token(connection: sqlite3.Connection) -> int | None:
    """The token of whoever took the lease last; None where Bascule's tables are gone."""
    try:
        row = connection.execute("SELECT value FROM main.bascule_meta WHERE key = 'token'").fetchone()
    except sqlite3.OperationalError as exc:
        if "no such table" in str(exc):
            return None
        raise
    return int(row[0]) if row else None


def read_word(connection: sqlite3.Connection, key: str) -> str | None:
    """One of them; None where it was never said."""
    row = connection.execute("SELECT value FROM main.bascule_meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def forget_meta(connection: sqlite3.Connection, key: str) -> None:
    """Take back one of them."""
    connection.execute("DELETE FROM main.bascule_meta WHERE key = ?", (key,))


def write_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """One of Bascule's words about itself."""
    connection.execute("INSERT OR REPLACE INTO main.bascule_meta VALUES (?, ?)", (key, value))


def _as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    name, version, position, run_id, applied_at, ms, exact, semantic, parser, how, repeatable = row
    return LedgerEntry(
        name=name,
        version=version,
        position=position,
        run_id=run_id,
        applied_at=datetime.fromisoformat(applied_at),
        execution_ms=ms,
        exact_hash=exact,
        semantic_hash=semantic,
        parser=parser,
        how=how,
        repeatable=bool(repeatable),
    )
