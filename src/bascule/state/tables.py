"""The tables of the state store, in words that PostgreSQL and SQLite both read. `@name` stands for the table's name
there.

They are only ever added to: each statement makes what is not there and leaves alone what is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

RARE: Final = (
    "run_failed",
    "run_interrupted",
    "rolled_back",
    "verdict",
    "validation_failed",
    "backup_created",
    "backup_verified",
    "backup_removed",
    "protected_run",
)
"""Kinds of facts of which there are few among many."""
RARE_SQL: Final = f"kind IN ({', '.join(map(repr, RARE))})"

TABLES: Final = (
    # The journal itself is made by each database. Most of its facts tell that something went well; the others are found
    # without reading those.
    f"CREATE INDEX IF NOT EXISTS bascule_journal_rare ON @journal (number) WHERE {RARE_SQL}",
    # Append-only. `mac` covers number, moment, entry and `previous`, which is the line before's `mac`.
    """CREATE TABLE IF NOT EXISTS @audit (
  number BIGINT PRIMARY KEY,
  at TEXT NOT NULL,
  entry TEXT NOT NULL,
  previous TEXT NOT NULL,
  mac TEXT NOT NULL
)""",
    # `hash`: SHA-256, in hex, of the token; the token itself is nowhere.
    """CREATE TABLE IF NOT EXISTS @token (
  id TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  name TEXT NOT NULL,
  environment TEXT,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL,
  expires_at TEXT,
  revoked_at TEXT,
  last_used_at TEXT
)""",
    """CREATE TABLE IF NOT EXISTS @alert (
  id TEXT PRIMARY KEY,
  target TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  rule TEXT NOT NULL,
  severity TEXT NOT NULL,
  state TEXT NOT NULL,
  title TEXT NOT NULL,
  message TEXT NOT NULL,
  data TEXT NOT NULL,
  first_at TEXT NOT NULL,
  last_at TEXT NOT NULL,
  occurrences BIGINT NOT NULL,
  acknowledged_by TEXT,
  acknowledged_at TEXT,
  resolved_at TEXT
)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS bascule_alert_open ON @alert (target, fingerprint) WHERE resolved_at IS NULL",
    "CREATE INDEX IF NOT EXISTS bascule_alert_last ON @alert (target, last_at)",
    # Messages to the outside that are owed or were sent. `about`: an alert's id, or a fact's number after "fact-".
    """CREATE TABLE IF NOT EXISTS @delivery (
  id TEXT PRIMARY KEY,
  target TEXT NOT NULL,
  channel TEXT NOT NULL,
  about TEXT NOT NULL,
  event TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  made_at TEXT NOT NULL,
  next_at TEXT NOT NULL,
  ended_at TEXT,
  error TEXT
)""",
    "CREATE INDEX IF NOT EXISTS bascule_delivery_owed ON @delivery (target, next_at) WHERE ended_at IS NULL",
    "CREATE INDEX IF NOT EXISTS bascule_delivery_ended ON @delivery (target, ended_at)",
    """CREATE TABLE IF NOT EXISTS @performance (
  id TEXT PRIMARY KEY,
  target TEXT NOT NULL,
  run_id TEXT NOT NULL,
  migration TEXT NOT NULL,
  at TEXT NOT NULL,
  data TEXT NOT NULL
)""",
    "CREATE INDEX IF NOT EXISTS bascule_performance_at ON @performance (target, at)",
    """CREATE TABLE IF NOT EXISTS @plan (
  id TEXT PRIMARY KEY,
  target TEXT NOT NULL,
  author TEXT NOT NULL,
  created_at TEXT NOT NULL,
  expires_at TEXT NOT NULL,
  document TEXT NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS @approval (
  plan_id TEXT NOT NULL,
  approver TEXT NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY (plan_id, approver)
)""",
    # One value a key: the last health check, the last clean-up, what monitoring cost.
    """CREATE TABLE IF NOT EXISTS @note (
  target TEXT NOT NULL,
  key TEXT NOT NULL,
  at TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (target, key)
)""",
)

_TABLE: Final = re.compile(r"@(\w+)")


def named(sql: str, name: Callable[[str], str]) -> str:
    """A statement with the tables' names as they are there. No text of ours has an @ for anything else."""
    return _TABLE.sub(lambda found: name(found[1]), sql)
