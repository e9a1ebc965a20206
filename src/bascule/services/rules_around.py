"""The data rules around each migration that writes rows: what it broke is told apart from what was broken already."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bascule.domain.event import Event
from bascule.domain.plan import PlannedMigration
from bascule.errors import BasculeError
from bascule.planning.steps import plan_migration
from bascule.services.context import Context
from bascule.services.kept_look import keep
from bascule.services.validation_failed import note_failed
from bascule.validation.counts import shown_name, written_tables

if TYPE_CHECKING:
    from bascule.domain.validation import ValidationReport
    from bascule.services.validate import Validation, Wanted

ONE = 10.0
"""Seconds for one statement, and for one rule of the project's."""
FREE, SHARE = 10.0, 0.1
"""Looking begins no more when it has taken so many seconds and this share of the time of the whole run."""
RULES = ("data_integrity", "business_logic")
"""Categories that are asked around a run."""


@dataclass(slots=True, kw_only=True)
class RulesAround:
    """The looks of one run of several migrations. A migration that writes no rows costs nothing.

    Nothing that is found here refuses or undoes: what was broken before may be what the migration is to mend. What
    cannot be looked at is said, and keeps nothing from going on.
    """

    context: Context
    validation: Validation
    _begun: float = 0.0
    _spent: float = 0.0
    _touched: tuple[str, ...] = ()
    _before: ValidationReport | None = None
    _why: str = ""
    _warnings: list[str] = field(default_factory=list)

    def before(self, planned: PlannedMigration) -> None:
        """The migration is about to run."""
        self._begun = self._begun or self.context.clock.monotonic()
        self._touched, self._before, self._why = names_of(planned, self.context), None, ""
        if not self._touched:
            return
        if self._spent > FREE + SHARE * (self.context.clock.monotonic() - self._begun):
            self._why = "looking would have slowed the run down"
            return
        self._before = self._look(planned)

    def after(self, planned: PlannedMigration, run_id: str) -> dict[str, Any]:
        """The migration has run. Answers what its RUN's ``validationResult`` tells beside the needs."""
        if not self._touched:
            return {}
        report = self._look(planned) if self._before is not None else None
        if self._before is None or report is None:
            return {"notCompared": self._why}
        keep(self.context, self._before, migration=planned.name, run_id=run_id, tables=self._touched)
        known = {result.rule_id: result for result in self._before.results}
        report = dataclasses.replace(report, before=known)
        broken = [result for result in self._before.results if result.found]
        new = [self.context.conceal(words) for words in report.new_issues]
        if new:
            self._tell(planned, run_id, new, report.worse_rules)
        return {
            "rules": report.summary["total"],
            "brokenBefore": [self.context.conceal(f"{each.rule_name}: {each.message}") for each in broken],
            "newIssues": new,
            "newErrors": [self.context.conceal(words) for words in report.new_errors],
        }

    def warnings(self) -> Sequence[str]:
        """What the migrations so far have broken."""
        return self._warnings

    def _tell(self, planned: PlannedMigration, run_id: str, new: Sequence[str], rules: Sequence[str]) -> None:
        words = f"{planned.name} has left new faults in the data: {'; '.join(new)}"
        self._warnings.append(words)
        self.context.say(f"Warning: {words}")
        note_failed(self.context, planned.name, rules, new, run_id=run_id)
        event = Event(
            name="migration.validation_failed",
            run_id="",
            migration=planned.name,
            at=self.context.clock.now(),
            data={"newIssues": list(new), "rules": list(rules)},
        )
        self.context.publish(event)

    def _wanted(self, planned: PlannedMigration) -> Wanted:
        from bascule.services.validate import Wanted

        context = {"environment": self.context.policy.environment}
        return Wanted(rules=RULES, touched=self._touched, migration=planned.name, context=context)

    def _look(self, planned: PlannedMigration) -> ValidationReport | None:
        from bascule.services.validate import validate

        begun = self.context.clock.monotonic()
        try:
            with closing(self.validation.reader):
                return validate(self.validation, self._wanted(planned))
        except BasculeError as error:
            self._why = self.context.conceal(error.message)
            return None
        finally:
            self._spent += self.context.clock.monotonic() - begun


def rules_around(context: Context, planned: Sequence[PlannedMigration]) -> RulesAround | None:
    """Nothing where no migration writes rows. Raises ConfigError for a declaration that cannot be read."""
    if context.rules is None or not any(names_of(each, context) for each in planned):
        return None
    validation = context.rules()
    options = dataclasses.replace(validation.options, seconds=min(validation.options.seconds, ONE))
    return RulesAround(context=context, validation=dataclasses.replace(validation, options=options))


def names_of(planned: PlannedMigration, context: Context) -> tuple[str, ...]:
    """The tables whose rows the migration's statements name as changed. A way back brings back what the up changed, so
    the tables of both are meant there.
    """
    dialect = context.target.dialect
    up = [plan_migration(planned.migration, "up", dialect)] if planned.direction == "down" else []
    tables = [table for each in (*up, planned) for table in written_tables(each, dialect)[0]]
    return tuple(dict.fromkeys(map(shown_name, tables)))
