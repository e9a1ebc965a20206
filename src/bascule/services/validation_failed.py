"""The fact that rules or needs refused a run, that a run broke them, or that a look at the data found errors: what
metrics count and alerts are made of.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from bascule.domain.history import Fact
from bascule.errors import BasculeError
from bascule.ports.database import WorkFailed
from bascule.services.context import Context

if TYPE_CHECKING:
    from bascule.domain.validation import ValidationReport

NEEDS: Final = "needs"
"""Stands among the rules for what a migration needs of today's rows."""
_TOLD: Final = 20
_LOOKS: Final = 200
"""Newest facts about validation among which the last look is searched for."""


def note_failed(
    context: Context, migration: str, rules: Sequence[str], words: Sequence[str], *, run_id: str = ""
) -> None:
    """Write it to the journal. What is to be refused is refused, whether or not this can be written."""
    data = {"rules": list(dict.fromkeys(rules)), "words": [context.conceal(each) for each in words[:_TOLD]]}
    with contextlib.suppress(BasculeError, WorkFailed):
        context.target.append(
            (Fact(kind="validation_failed", run_id=run_id, migration=migration, data=data),), durable=False
        )


def note_look(context: Context, report: ValidationReport, *, whole: bool) -> None:
    """Write down that a look at the data, which no migration was the reason for, found errors; and once that the next
    look at the `whole` of it found none, which ends the alert. A database where Bascule keeps nothing stays as it is.
    """
    if not context.target.describe().prepared:
        return
    if not report.is_valid:
        found = [each.rule_id for each in report.results if each.status in ("fail", "error")]
        note_failed(context, "", found or [each.rule_id for each in report.results if each.found], report.errors)
        return
    kinds = ("validation_failed", "validation_passed")
    looks = [fact for fact in context.target.journal(kinds=kinds, limit=_LOOKS) if not fact.migration]
    if whole and looks and looks[-1].kind == "validation_failed":
        with contextlib.suppress(BasculeError, WorkFailed):
            context.target.append((Fact(kind="validation_passed", run_id="", migration=""),), durable=False)
