"""What the data rules answered right before a migration ran: kept in the journal, so that a later look at what it broke
can tell that from what was broken already.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bascule.domain.history import Fact
from bascule.domain.validation import RuleResult, ValidationReport
from bascule.errors import BasculeError
from bascule.ports.database import WorkFailed
from bascule.services.context import Context

KIND: Final = "looked_at"
_MOST: Final = 1000
"""Findings of one rule that are kept. Where there are more, what it finds later is compared with nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLook:
    """One look."""

    run_id: str
    at: datetime | None
    tables: tuple[str, ...]
    """It was about these tables, and those that refer to them."""
    results: Mapping[str, RuleResult]
    """By id; without samples, which would be rows in the journal."""


def keep(context: Context, report: ValidationReport, *, migration: str, run_id: str, tables: Sequence[str]) -> None:
    """Write it down. A crash, or a server that is gone, loses a comparison and nothing else: the migration has run."""
    data = {
        "tables": list(tables),
        "clean": [result.rule_id for result in report.results if not result.found],
        "found": {
            result.rule_id: {
                "status": result.status,
                "counts": [[words, least, most] for words, (least, most) in result.counts.items()],
            }
            for result in report.results
            if result.found and len(result.counts) <= _MOST
        },
    }
    fact = Fact(kind=KIND, run_id=run_id, migration=migration, data=data)
    with contextlib.suppress(BasculeError, WorkFailed):
        context.target.append((fact,), durable=False)


def kept(context: Context, migration: str) -> KeptLook | None:
    """The look before the last run of that migration; None where none was kept."""
    facts = context.target.journal(migration=migration, kinds=(KIND,), limit=1)
    if not facts:
        return None
    fact = facts[-1]
    found = fact.data.get("found") or {}
    answers = dict.fromkeys(fact.data.get("clean") or (), _CLEAN) | found
    return KeptLook(
        run_id=fact.run_id,
        at=fact.at,
        tables=tuple(fact.data.get("tables") or ()),
        results={rule: _answered(rule, said, fact.at) for rule, said in answers.items()},
    )


_CLEAN: Final[Mapping[str, Any]] = {"status": "pass", "counts": ()}


def _answered(rule: str, said: Mapping[str, Any], at: datetime | None) -> RuleResult:
    """As much of an answer as a later one is compared with."""
    return RuleResult(
        rule_id=rule,
        rule_name=rule,
        category="",
        severity="info",
        status=said["status"],
        message="",
        timestamp=at or datetime.min.replace(tzinfo=UTC),
        counts={words: (least, most) for words, least, most in said["counts"]},
    )
