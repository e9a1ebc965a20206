"""The fact that rules or needs refused a run, or that a run broke them: what metrics count."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from bascule.domain.history import Fact
from bascule.errors import BasculeError
from bascule.ports.database import WorkFailed
from bascule.services.context import Context

NEEDS: Final = "needs"
"""Stands among the rules for what a migration needs of today's rows."""
_TOLD: Final = 20


def note_failed(
    context: Context, migration: str, rules: Sequence[str], words: Sequence[str], *, run_id: str = ""
) -> None:
    """Write it to the journal. What is to be refused is refused, whether or not this can be written."""
    data = {"rules": list(dict.fromkeys(rules)), "words": [context.conceal(each) for each in words[:_TOLD]]}
    with contextlib.suppress(BasculeError, WorkFailed):
        context.target.append(
            (Fact(kind="validation_failed", run_id=run_id, migration=migration, data=data),), durable=False
        )
