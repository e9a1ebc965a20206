"""What `up` would do, in order, before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bascule.domain.forecast import Forecast, RollbackPlan, ValidationPlan
from bascule.domain.plan import PlannedMigration, Step
from bascule.domain.way_back import MigrationWayBack
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
    hooks: tuple[str, ...] = ()
    """The project's scripts that run besides: ``hooks/before_up.sql before``."""
    builds_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By migration: the earlier ones of the plan that its statements build on."""
    forecast: Forecast | None = None
    """None: nobody has looked at what the target holds."""

    @property
    def data_impact(self) -> str:
        """``low``, ``medium`` or ``high``."""
        return overall(self.migrations) if self.forecast is None else self.forecast.impact

    @property
    def total_estimated_time(self) -> int:
        """Milliseconds."""
        return int(self._forecast.total["ms"])

    @property
    def rollback_plan(self) -> RollbackPlan:
        """How all of it would be taken back."""
        return self._forecast.rollback

    @property
    def validation_plan(self) -> ValidationPlan:
        """What is looked at around it."""
        return self._forecast.validation

    @property
    def ways_back(self) -> Mapping[str, MigrationWayBack]:
        """By migration: how each of its statements would be undone, what that would lose, and what the down script
        leaves different.
        """
        return {name: each.back for name, each in self._forecast.migrations.items()}

    @property
    def _forecast(self) -> Forecast:
        if self.forecast is None:
            raise ValueError("this plan was made without a look at what the target holds")
        return self.forecast

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        found = self.forecast
        answer: dict[str, Any] = {
            "migrations": [self._told(each) for each in self.migrations],
            "dataImpact": self.data_impact,
            "warnings": list(self.warnings),
            "hooks": list(self.hooks),
        }
        if found is not None:
            answer |= {
                "totalEstimatedTime": found.total["ms"],
                "estimate": dict(found.total) | {"prior": found.prior},
                "backupBefore": found.backup.as_dict() if found.backup is not None else None,
                "rollbackPlan": found.rollback.as_dict(),
                "validationPlan": found.validation.as_dict(),
            }
        return answer

    def _told(self, planned: PlannedMigration) -> dict[str, Any]:
        together = {"buildsOn": list(self.builds_on.get(planned.name, ()))}
        return describe(planned) | together | _foretold(self.forecast, planned.name)


def _foretold(forecast: Forecast | None, name: str) -> dict[str, Any]:
    if forecast is None:
        return {}
    one = forecast.migrations[name]
    return {
        "dataImpact": one.impact,
        "impactReasons": list(one.reasons),
        "estimatedDuration": one.estimate["ms"],
        "estimate": dict(one.estimate),
        **one.back.as_dict(),
    }


def plan(
    context: Context, *, names: tuple[str, ...] = (), to: str | None = None, steps: int | None = None
) -> PlanReport:
    """Raises as the refusals of `up`: what `up` would refuse, the plan refuses."""
    situation = look(context)
    check_applied(context, situation)
    choice = choose(context, situation, names=names, to=to, steps=steps)
    planned = choice.planned(context)
    return PlanReport(migrations=planned, warnings=choice.warnings, hooks=_hooks(context, planned))


def create_plan(
    context: Context, *, names: tuple[str, ...] = (), to: str | None = None, steps: int | None = None
) -> PlanReport:
    """As `plan`, with time, impact, way back and checks. Raises as that."""
    from bascule.planning.builds_on import builds_on
    from bascule.services.forecast import forecast

    situation = look(context)
    check_applied(context, situation)
    choice = choose(context, situation, names=names, to=to, steps=steps)
    planned = choice.planned(context)
    found = forecast(context, planned, situation)
    unseen = tuple(f"Could not be looked at: {words}" for words in found.unseen)
    return PlanReport(
        migrations=planned,
        warnings=(*choice.warnings, *unseen),
        hooks=_hooks(context, planned),
        builds_on=builds_on(planned, context.target.dialect),
        forecast=found,
    )


def _hooks(context: Context, planned: Sequence[PlannedMigration]) -> tuple[str, ...]:
    if not planned:
        return ()
    from bascule.services.hooks import hooks_of

    return hooks_of(context, "up")


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
    """How it would be undone, as far as its file tells: ``down`` (the author's script) or ``none``."""
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
