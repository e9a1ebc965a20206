"""What is looked at around a run: today's rows before it, and how many there are before and after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bascule.domain.plan import PlannedMigration
from bascule.domain.run import Run
from bascule.services.context import Context

if TYPE_CHECKING:
    from bascule.services.compare import Comparison
    from bascule.services.preflight import Answer
    from bascule.services.rules_around import RulesAround


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Around the migrations of one `up`. With validation off nothing is asked."""

    comparison: Comparison | None = None
    rules: RulesAround | None = None
    answers: tuple[Answer, ...] = ()

    def around(self, planned: PlannedMigration, run: Callable[[], Run]) -> Run:
        """Run it, and add what was looked at to its report. Raises what `run` raises."""
        if self.comparison is None:
            return run()
        from bascule.services.preflight import of_migration

        self.comparison.before(planned)
        if self.rules is not None:
            self.rules.before(planned)
        done = run()
        told = self.rules.after(planned, done.id) if self.rules is not None else {}
        return dataclasses.replace(
            done,
            validation_result=of_migration(self.answers, planned.name) | told,
            extra=done.extra | self.comparison.after(planned),
        )

    def warnings(self) -> list[str]:
        """What nobody could judge or look at, and what the migrations so far have broken."""
        broken = list(self.rules.warnings()) if self.rules is not None else []
        if not self.answers:
            return broken
        from bascule.services.preflight import warnings

        return warnings(self.answers) + broken


def checks(context: Context, planned: Sequence[PlannedMigration], *, wanted: bool) -> Checks:
    """Look at what the migrations will need. Raises `Refused` (codes ``needs_not_met``, and in strict mode
    ``data_not_valid``), `Interrupted`.
    """
    if not (wanted and context.policy.validate and planned):
        return Checks()
    from bascule.services.compare import Comparison
    from bascule.services.preflight import preflight
    from bascule.services.rules_around import rules_around

    rules = rules_around(context, planned)
    answers = preflight(context, planned)
    if context.policy.strict:
        from bascule.services.strict import refuse_faults

        refuse_faults(context, planned)
    return Checks(comparison=Comparison(context=context), rules=rules, answers=answers)
