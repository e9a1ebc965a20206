"""The SQL that an `up` would run, with its ledger rows, for people who have to run it by hand."""

from __future__ import annotations

from typing import Literal

from bascule.domain.plan import PlannedMigration, Step
from bascule.domain.statement import Statement
from bascule.errors import Refused
from bascule.planning.names import find
from bascule.planning.select import select_rollback
from bascule.ports.database import LedgerChange
from bascule.services.choice import choose
from bascule.services.context import Context
from bascule.services.entries import entry_of
from bascule.services.planned import plan_one
from bascule.services.runs import RunNames
from bascule.services.situation import check_applied, look

_WARNING = {
    "up": "-- Run it with an SQL shell that stops at the first error (psql -v ON_ERROR_STOP=1 -f …; sqlite3 -bail).",
    "down": "-- The way back. Run it with an SQL shell that stops at the first error.",
}


def script(
    context: Context, *, names: tuple[str, ...] = (), to: str | None = None, direction: Literal["up", "down"] = "up"
) -> str:
    """What is pending (or named, or up to `to`) as one script; with `direction` down the way back of what is applied.

    Nothing takes the lease for whoever runs it by hand, and a crash in a script without surrounding transaction is
    theirs to
    mend: the script says so. Raises as `plan`; `Refused` for a Python migration that depends on data.
    """
    planned = _down(context, names, to) if direction == "down" else _up(context, names, to)
    names_of = RunNames(context.clock)
    setup = context.target.offline_setup() if planned else ""
    parts = [f"-- bascule: {len(planned)} migrations {direction} for {context.target.dialect}", _WARNING[direction]]
    if setup:
        parts.append(f"-- What has to be there first\n{setup}")
    parts.extend(_one(context, each, names_of.mint(each.name)) for each in planned)
    return "\n".join(parts) + "\n"


def _up(context: Context, names: tuple[str, ...], to: str | None) -> tuple[PlannedMigration, ...]:
    situation = look(context)
    check_applied(context, situation)
    return choose(context, situation, names=names, to=to).planned(context)


def _down(context: Context, names: tuple[str, ...], to: str | None) -> tuple[PlannedMigration, ...]:
    situation = look(context)
    listed = situation.by_name
    depends = {
        entry.name: context.source.read(listed[entry.name]).depends
        for entry in situation.applied
        if entry.name in listed
    }
    name = names[0] if names else None
    entries = select_rollback(situation.refs, situation.applied, depends, name=name, to=to)
    plans = []
    for entry in entries:
        migration = context.source.read(find(entry.name, situation.refs))
        if migration.down is None or migration.down.empty:
            raise Refused(f"{entry.name} has no way back: its down script is empty or missing.", code="no_way_back")
        plans.append(plan_one(context, migration, "down"))
    return tuple(plans)


def _one(context: Context, planned: PlannedMigration, run_id: str) -> str:
    _refuse_unknown(planned)
    change = _change(planned, run_id)
    before, ledger = context.target.offline(change, planned.touch if planned.direction == "up" else None)
    head = f"-- {planned.name} ({planned.direction})"
    if planned.transactional:
        body = [sql for step in planned.steps for sql in _statements(step)]
        return "\n".join([head, "BEGIN;", *([before] if before else []), *body, ledger, "COMMIT;", ""])
    note = "-- Several steps: after an error look which are done, and go on behind them."
    parts = [head, note, *([before] if before else [])]
    for step in planned.steps:
        block = len(step.statements) > 1
        parts.extend(["BEGIN;", *_statements(step), "COMMIT;"] if block else _statements(step))
    return "\n".join([*parts, ledger, ""])


def _statements(step: Step) -> list[str]:
    return [f"{setting};" for setting in step.settings] + [_text(statement) for statement in step.statements]


def _text(statement: Statement) -> str:
    if statement.copy_data is not None:
        return f"{statement.text};\n{statement.copy_data}\\."
    # A comment behind the last word would swallow a semicolon on its line.
    return f"{statement.text}\n;" if "--" in statement.text.rsplit("\n", 1)[-1] else f"{statement.text};"


def _refuse_unknown(planned: PlannedMigration) -> None:
    for warning in planned.warnings:
        if warning.startswith("depends on data"):
            raise Refused(
                f"{planned.name} {warning}: what it would run cannot be written down beforehand.",
                code="depends_on_data",
                hint="Run it with bascule up.",
            )


def _change(planned: PlannedMigration, run_id: str) -> LedgerChange:
    if planned.direction == "down":
        return LedgerChange(remove=planned.name)
    entry = entry_of(
        planned.migration,
        run_id=run_id,
        semantic_hash=planned.semantic_hash,
        parser=planned.parser,
        how="sql",
    )
    return LedgerChange(entry=entry)
