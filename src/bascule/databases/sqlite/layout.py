"""The tables Bascule keeps in the database itself: ledger, step marks, looks of before, and a few words about
itself.

Everything is named ``bascule_…``, the indexes too: no constraint that makes an index of SQLite's naming, no
AUTOINCREMENT, which would make ``sqlite_sequence``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from bascule.errors import Refused

LAYOUT = 1
"""Counts up when the tables below, or those of the sidecar, change."""

TABLES = (
    """CREATE TABLE main.bascule_meta (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID""",
    """CREATE TABLE main.bascule_ledger (
  position INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  run_id TEXT NOT NULL,
  applied_at TEXT NOT NULL,
  execution_ms INTEGER NOT NULL,
  exact_hash TEXT NOT NULL,
  semantic_hash TEXT NOT NULL,
  parser TEXT NOT NULL,
  how TEXT NOT NULL,
  repeatable INTEGER NOT NULL,
  before TEXT,
  script TEXT NOT NULL
)""",
    "CREATE UNIQUE INDEX main.bascule_ledger_name ON bascule_ledger (name)",
    """CREATE TABLE main.bascule_step (
  migration TEXT NOT NULL,
  direction TEXT NOT NULL,
  step INTEGER NOT NULL,
  digest TEXT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (migration, direction, step)
) WITHOUT ROWID""",
    """CREATE TABLE main.bascule_before (
  migration TEXT NOT NULL PRIMARY KEY,
  snapshot TEXT NOT NULL
) WITHOUT ROWID""",
)


def read_meta(connection: sqlite3.Connection) -> Mapping[str, str] | None:
    """Bascule's words about itself (``layout``, ``identity``, ``token``, ``environment``); None where it never ran."""
    if connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'bascule_meta'").fetchone() is None:
        return None
    return dict(connection.execute("SELECT key, value FROM main.bascule_meta").fetchall())


def create_tables(connection: sqlite3.Connection, *, identity: str) -> None:
    """Inside a transaction of the caller's."""
    for table in TABLES:
        connection.execute(table)
    words = {"layout": str(LAYOUT), "identity": identity, "token": "0"}
    connection.executemany("INSERT INTO main.bascule_meta VALUES (?, ?)", words.items())


def refuse_newer(layout: str, *, what: str) -> None:
    """Raises `Refused` (code ``newer_ledger``) when a later Bascule made these tables."""
    if int(layout) > LAYOUT:
        raise Refused(
            f"{what} was written by a newer Bascule (layout {layout}, this one knows up to {LAYOUT}).",
            code="newer_ledger",
            hint="Use that newer version here as well.",
        )
