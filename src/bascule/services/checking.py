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


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Around the migrations of one `up`. With validation off nothing is asked."""

    comparison: Comparison | None = None
    answers: tuple[Answer, ...] = ()

    def around(self, planned: PlannedMigration, run: Callable[[], Run]) -> Run:
        """Run it, and add what was looked at to its report. Raises what `run` raises."""
        if self.comparison is None:
            return run()
        from bascule.services.preflight import of_migration

        self.comparison.before(planned)
        done = run()
        return dataclasses.replace(
            done,
            validation_result=of_migration(self.answers, planned.name),
            extra=done.extra | self.comparison.after(planned),
        )

    def warnings(self) -> list[str]:
        """What nobody could judge or look at."""
        if not self.answers:
            return []
        from bascule.services.preflight import warnings

        return warnings(self.answers)


def checks(context: Context, planned: Sequence[PlannedMigration], *, wanted: bool) -> Checks:
    """Look at what the migrations will need. Raises `Refused` (code ``needs_not_met``), `Interrupted`."""
    if not (wanted and context.policy.validate and planned):
        return Checks()
    from bascule.services.compare import Comparison
    from bascule.services.preflight import preflight

    answers = preflight(context, planned)
    return Checks(comparison=Comparison(context=context), answers=answers)
