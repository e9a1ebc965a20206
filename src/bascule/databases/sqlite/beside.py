"""Rows of a backup in tables named ``bascule_beside_…``, beside those of today."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from bascule.databases.sqlite.location import Location, sqlite_uri
from bascule.databases.sqlite.opening import connect
from bascule.databases.sqlite.restore import Source
from bascule.databases.sqlite.tables import BESIDE, Table, chosen, quoted, read_tables
from bascule.errors import MigrationFailed
from bascule.ports.dump import Beside, Watch

_PATIENCE = 10.0


def restore_beside(
    location: Location, source: Source, *, tables: Sequence[str] | None, watch: Watch | None = None
) -> list[Beside]:
    """In one transaction. Raises what the port says, and OSError."""
    with source.unpacked(location.path, watch, restoring=tables is None) as copy:
        target = connect(location.path, mode="rw", wait=_PATIENCE)
        try:
            uri = sqlite_uri(copy, "ro").replace("'", "''")
            target.execute(f"ATTACH '{uri}' AS backup")
            target.execute("BEGIN IMMEDIATE")
            old = chosen(read_tables(target, "backup"), tables, where="the backup")
            now = read_tables(target)
            found = [_beside(target, table, now.get(name)) for name, table in old.items() if not table.virtual]
            target.execute("COMMIT")
        except sqlite3.Error as exc:
            raise MigrationFailed(
                f"The old rows could not be restored beside the tables: {exc}.",
                code="restore_failed",
                hint="Nothing was changed by that. Restore the backup to another file with --to.",
            ) from exc
        finally:
            if target.in_transaction:
                target.execute("ROLLBACK")
            target.close()
    return found


def _beside(target: sqlite3.Connection, table: Table, now: Table | None) -> Beside:
    number, place = 1, f"{BESIDE}_{table.name}"
    while target.execute("SELECT 1 FROM main.sqlite_master WHERE lower(name) = lower(?)", (place,)).fetchone():
        number += 1
        place = f"{BESIDE}_{table.name}_{number}"
    listed = ", ".join(quoted(name) for name in table.columns)
    target.execute(
        f"CREATE TABLE main.{quoted(place)} AS SELECT {listed or '1 AS nothing'} FROM backup.{quoted(table.name)}"
    )
    rows = target.execute(f"SELECT count(*) FROM main.{quoted(place)}").fetchone()[0]
    today = {name.lower() for name in now.columns} if now is not None else set()
    info = target.execute(f"PRAGMA main.table_info({quoted(table.name)})").fetchall()
    defaults = {quoted(row[1]): row[4] for row in info if row[4] is not None}
    key = tuple(table.key) if {name.lower() for name in table.key} <= today else ()
    return Beside(
        table=quoted(table.name),
        place=quoted(place),
        rows=rows,
        there=now is not None,
        key=tuple(map(quoted, key)),
        columns=tuple(quoted(name) for name in table.columns if name.lower() in today and name not in key),
        gone=tuple(quoted(name) for name in table.columns if name.lower() not in today),
        defaults=tuple((name, text) for name, text in defaults.items() if not _is_computed(text)),
        computed=tuple(name for name, text in defaults.items() if _is_computed(text)),
    )


def _is_computed(default: str) -> bool:
    return "(" in default or default.upper().startswith("CURRENT_")
