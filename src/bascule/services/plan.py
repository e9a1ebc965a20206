"""What `up` would do, in order, before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bascule.domain.plan import PlannedMigration, Step
from bascule.planning.impact import impact
from bascule.services.choice import choose
from bascule.services.context import Context
from bascule.services.loss import losses_of
from bascule.services.situation import check_applied, look


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """The plan of an `up`."""

    migrations: tuple[PlannedMigration, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "migrations": [describe(each) for each in self.migrations],
            "dataImpact": overall(self.migrations),
            "warnings": list(self.warnings),
        }


def plan(
    context: Context, *, names: tuple[str, ...] = (), to: str | None = None, steps: int | None = None
) -> PlanReport:
    """Raises as the refusals of `up`: what `up` would refuse, the plan refuses."""
    situation = look(context)
    check_applied(context, situation)
    choice = choose(context, situation, names=names, to=to, steps=steps)
    return PlanReport(migrations=choice.planned(context), warnings=choice.warnings)


def overall(migrations: tuple[PlannedMigration, ...]) -> str:
    """The highest impact among them."""
    found = {impact(insight for step in each.steps for insight in step.insights) for each in migrations}
    return next((word for word in ("high", "medium") if word in found), "low")


def describe(planned: PlannedMigration) -> dict[str, Any]:
    """One planned migration in the JSON form."""
    return {
        "name": planned.name,
        "direction": planned.direction,
        "transactional": planned.transactional,
        "dependencies": list(planned.migration.depends or ()),
        "dataImpact": impact(insight for step in planned.steps for insight in step.insights),
        "steps": [_step(step) for step in planned.steps],
        "wayBack": way_back(planned),
        "losses": list(losses_of(planned)),
        "undecidable": list(planned.undecidable),
        "warnings": list(planned.warnings),
    }


def way_back(planned: PlannedMigration) -> str:
    """How it would be undone: ``down`` (the author's script) or ``none``."""
    down = planned.migration.down
    return "none" if planned.migration.irreversible or down is None or down.empty else "down"


def _step(step: Step) -> dict[str, Any]:
    return {
        "kind": step.kind,
        "settings": list(step.settings),
        "statements": [
            {"line": statement.line, "sql": statement.text, "kind": insight.kind}
            for statement, insight in zip(step.statements, step.insights, strict=True)
        ],
    }
