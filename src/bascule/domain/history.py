"""What the target remembers: applied migrations, and the facts of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One applied migration. Written in the same transaction as the change it stands for."""

    name: str
    version: str
    position: int
    """Order in which the target applied them, growing; set by the store."""
    run_id: str
    applied_at: datetime
    """UTC, from the database server's clock."""
    execution_ms: int
    """When written with 0, the store measures the transaction itself."""
    exact_hash: str
    semantic_hash: str
    parser: str
    """Which lexer made `semantic_hash`; hashes of different versions are never compared."""
    how: str = "run"
    """``run``, ``mark`` (recorded without running) or ``adopt``."""
    repeatable: bool = False
    script: str = ""
    """Text of the up script as it ran, kept so that a later edit can be shown as a diff. Written, but left out when
    the whole
    ledger is read."""


REQUESTED, ENDED = "requested", "request_ended"
"""Kinds of facts: somebody asked a server for a run, and what came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of the journal. Facts are appended, never changed.

    Kinds: ``batch_started`` (no step or migration: the ids of all runs about to begin, one after the other),
    ``batch_ended`` (it ended early, and its process lives),
    ``run_started``, ``step_started`` (a statement that no transaction protects is about to be sent),
    ``step_done``, ``step_failed``, ``run_completed``, ``run_failed``, ``run_interrupted``, ``run_resumed``,
    ``lease_taken_over``, ``repaired``, ``marked``, ``accepted``, ``rolled_back``, ``verdict`` (what a rollback
    reached),
    ``asked``, ``answered``, ``recovery_decided``, ``recovery_ended`` (what is done after a failure, and what came of
    it),
    ``rollback_undone``, ``restored_beside``, ``looked_at`` (what the data rules found right before a migration that
    writes rows),
    ``protected_run`` (on production without a plan, for a reason),
    ``validation_failed`` (what refused a run before it began, or what it broke, or without a migration what a look
    at the data found; ``rules`` names them), ``validation_passed`` (the next look at all data found no errors).
    """

    kind: str
    run_id: str
    migration: str
    direction: str = "up"
    step: int | None = None
    at: datetime | None = None
    """Set by the store, from the database server's clock."""
    number: int = 0
    """Set by the store: grows with each fact of a target."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Whatever belongs to the kind, JSON-able: backend pid and start, error, verdict, differences, actor, reason…"""


def timed(facts: Sequence[Fact], ms: int) -> tuple[Fact, ...]:
    """The facts; those that end a run well say how many milliseconds it took, where they did not yet."""
    return tuple(
        replace(fact, data={"ms": ms, **fact.data}) if fact.kind in ("run_completed", "rolled_back") else fact
        for fact in facts
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lease."""

    owner: str
    """user@host:pid of the process, for people."""
    run: str
    since: datetime
    expires_at: datetime
    token: int
    backend: str = ""
    """pid and start of the server process of its main connection, for finding and ending it."""
