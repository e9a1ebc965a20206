"""What a server process is doing and whom it waits for, asked on another connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from bascule.databases.postgres.message import literal
from bascule.domain.statement import Touch
from bascule.ports.database import Progress

Ask = Callable[[str], list[tuple[str | None, ...]]]
"""Sends a statement, answers its rows as text."""

_SESSION: Final = """pg_catalog.json_build_object(
 'pid', s.pid, 'user', s.usename, 'application', s.application_name, 'state', s.state, 'kind', s.backend_type,
 'seconds', pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(s.xact_start, s.state_change))),
 'query', pg_catalog.left(s.query, 200))"""
_PROCESS_BY_TAG: Final = """(
 SELECT * FROM pg_catalog.pg_stat_activity
 WHERE datname = pg_catalog.current_database() AND state <> 'idle' AND pid <> pg_catalog.pg_backend_pid()
  AND (application_name LIKE {application} OR pg_catalog.starts_with(query, {comment}))
 LIMIT 1) AS w"""
_HOLDERS: Final = """SELECT {session} FROM pg_catalog.pg_stat_activity AS s
WHERE s.pid <> pg_catalog.pg_backend_pid() AND s.pid IN (
 SELECT l.pid
 FROM pg_catalog.pg_locks AS l JOIN (VALUES {wanted}) AS v (schema, name) ON l.relation = pg_catalog.to_regclass(
  coalesce(pg_catalog.quote_ident(v.schema) || '.', '') || pg_catalog.quote_ident(v.name))::oid
 WHERE l.granted
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
ORDER BY s.pid"""
_PROGRESS: Final = """coalesce(
 (SELECT pg_catalog.json_build_array(phase, CASE
    WHEN phase LIKE 'waiting%' THEN lockers_done * 100.0 / nullif(lockers_total, 0)
    WHEN tuples_total > 0 AND (blocks_total = 0 OR blocks_done >= blocks_total) THEN tuples_done * 100.0 / tuples_total
    ELSE blocks_done * 100.0 / nullif(blocks_total, 0) END)
  FROM pg_catalog.pg_stat_progress_create_index WHERE pid = w.pid),
 (SELECT pg_catalog.json_build_array('copying rows', bytes_processed * 100.0 / nullif(bytes_total, 0))
  FROM pg_catalog.pg_stat_progress_copy WHERE pid = w.pid LIMIT 1),
 (SELECT pg_catalog.json_build_array('vacuum: ' || phase, heap_blks_scanned * 100.0 / nullif(heap_blks_total, 0))
  FROM pg_catalog.pg_stat_progress_vacuum WHERE pid = w.pid),
 (SELECT pg_catalog.json_build_array('rewriting: ' || phase, heap_blks_scanned * 100.0 / nullif(heap_blks_total, 0))
  FROM pg_catalog.pg_stat_progress_cluster WHERE pid = w.pid),
 (SELECT pg_catalog.json_build_array('analyze: ' || phase, sample_blks_scanned * 100.0 / nullif(sample_blks_total, 0))
  FROM pg_catalog.pg_stat_progress_analyze WHERE pid = w.pid))"""


def process_of(pid: int | None, tag: str) -> str:
    """A FROM item `w` for the server process to look at: by number, or behind a pooler by the tag of what it runs."""
    if pid is not None:
        return f"pg_catalog.pg_stat_get_activity({pid}) AS w"
    return _PROCESS_BY_TAG.format(application=literal(f"%_ {tag}"), comment=literal(f"/* bascule {tag} "))


def is_waiting(ask: Ask, process: str) -> bool:
    """It waits for a lock right now. The cheap question: asking for blockers stops the lock manager for a moment."""
    rows = ask(f"SELECT w.wait_event_type FROM {process}")
    return bool(rows) and rows[0][0] == "Lock"


def blockers(ask: Ask, process: str) -> tuple[str, ...]:
    """Who holds what it waits for, in words."""
    rows = ask(
        f"SELECT coalesce({_SESSION}, pg_catalog.json_build_object('pid', b.pid)) FROM {process}, "
        "LATERAL (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS pid) AS b "
        "LEFT JOIN pg_catalog.pg_stat_activity AS s ON s.pid = b.pid ORDER BY b.pid"
    )
    return tuple(session_words(json.loads(row[0] or "{}")) for row in rows)


def progress(ask: Ask, process: str, waiting_for: Sequence[str] = ()) -> Progress | None:
    """What it is doing; None when it is not there."""
    rows = ask(f"SELECT {_PROGRESS} FROM {process}")
    if not rows:
        return None
    phase, percent = (
        json.loads(rows[0][0]) if rows[0][0] else ("waiting for a lock" if waiting_for else "running", None)
    )
    return Progress(
        phase=phase,
        percent=None if percent is None else min(100.0, round(float(percent), 1)),
        waiting_for=tuple(waiting_for),
    )


def look_at(ask: Ask, process: str) -> Progress | None:
    """As `progress`, of a process that somebody else keeps, which may wait for a lock."""
    return progress(ask, process, blockers(ask, process) if is_waiting(ask, process) else ())


def lock_holders(ask: Ask, touch: Touch) -> tuple[str, ...]:
    """Who holds locks on these relations, in words: for a wait that ended before anybody could look."""
    names = sorted({(each.schema, each.name) for each in touch.objects if each.kind == "relation"}, key=str)
    if not names:
        return ()
    wanted = ",".join(f"({literal(schema)},{literal(name)})" for schema, name in names[:100])
    rows = ask(_HOLDERS.format(session=_SESSION, wanted=wanted))
    return tuple(session_words(json.loads(row[0] or "{}")) for row in rows)


def session_words(session: dict[str, Any]) -> str:
    """``pid 4711 (user app, application psql, idle in transaction for 35 s): LOCK TABLE t``."""
    if not session.get("pid"):
        return "a prepared transaction (see pg_prepared_xacts)"
    about = [f"user {session['user']}"] if session.get("user") else []
    if session.get("kind") not in (None, "client backend"):
        about.append(session["kind"])
    if session.get("application"):
        about.append(f"application {session['application']}")
    if session.get("state"):
        seconds = session.get("seconds")
        about.append(session["state"] + (f" for {int(seconds)} s" if seconds is not None else ""))
    query = " ".join((session.get("query") or "").split())
    return f"pid {session['pid']} ({', '.join(about)})" + (f": {query}" if query else "")
