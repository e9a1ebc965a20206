"""The ledger row of a migration."""

from __future__ import annotations

from datetime import UTC, datetime

from bascule.domain.history import LedgerEntry
from bascule.domain.migration import Migration

UNSET = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands where the store writes its own time."""


def entry_of(
    migration: Migration, *, run_id: str, semantic_hash: str, parser: str, execution_ms: int = 0, how: str = "run"
) -> LedgerEntry:
    """The row as the store is given it; position and time are the store's."""
    return LedgerEntry(
        name=migration.name,
        version=migration.ref.version,
        position=0,
        run_id=run_id,
        applied_at=UNSET,
        execution_ms=execution_ms,
        exact_hash=migration.exact_hash,
        semantic_hash=semantic_hash,
        parser=parser,
        how=how,
        repeatable=migration.ref.repeatable,
        script=migration.up.text,
    )
