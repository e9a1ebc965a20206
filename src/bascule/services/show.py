"""One migration: what it says, what it would do, where it stands. Runs no user code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bascule.domain.history import LedgerEntry
from bascule.domain.migration import Migration, Script
from bascule.domain.run import iso
from bascule.domain.statement import Insight, Statement
from bascule.planning.names import find
from bascule.planning.steps import read_script
from bascule.services.context import Context

Lines = tuple[tuple[Statement, Insight], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowReport:
    """A migration opened."""

    migration: Migration
    entry: LedgerEntry | None
    half_done: bool
    up: Lines
    down: Lines

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        migration, entry = self.migration, self.entry
        return {
            "name": migration.name,
            "version": migration.ref.version,
            "description": migration.description,
            "path": migration.ref.path,
            "language": migration.ref.language,
            "status": self.status,
            "appliedAt": iso(entry.applied_at) if entry else None,
            "executionTime": entry.execution_ms if entry else None,
            "runId": entry.run_id if entry else None,
            "dependencies": list(migration.depends or ()),
            "transaction": migration.up.transaction,
            "irreversible": migration.irreversible,
            "hasDown": migration.down is not None and not migration.down.empty,
            "statements": [_line(statement, insight) for statement, insight in self.up],
            "downStatements": [_line(statement, insight) for statement, insight in self.down],
            "warnings": list(migration.warnings),
        }

    @property
    def status(self) -> str:
        """completed, pending, or half done."""
        if self.half_done:
            return "half done"
        return "completed" if self.entry else "pending"


def show(context: Context, name: str) -> ShowReport:
    """Raises UsageError for an unknown name, SourceError for a file that cannot be read."""
    ref = find(name, context.source.listing())
    migration = context.source.read(ref)
    return ShowReport(
        migration=migration,
        entry=next((entry for entry in context.target.ledger() if entry.name == ref.name), None),
        half_done=any(half == ref.name for half, _ in context.target.marks()),
        up=_lines(context, migration.up),
        down=_lines(context, migration.down),
    )


def _lines(context: Context, script: Script | None) -> Lines:
    if script is None or script.empty or script.language == "python":
        return ()
    statements, insights = read_script(script, context.target.dialect)
    return tuple(zip(statements, insights, strict=True))


def _line(statement: Statement, insight: Insight) -> dict[str, Any]:
    return {
        "line": statement.line,
        "sql": statement.text,
        "kind": insight.kind,
        "transactional": insight.transactional,
    }
