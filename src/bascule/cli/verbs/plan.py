"""`bascule plan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import verb
from bascule.cli.session import reading

if TYPE_CHECKING:
    from bascule.domain.plan import PlannedMigration
    from bascule.domain.plan_file import PlanFile
    from bascule.services.context import Context


@verb("plan")
@click.argument("names", nargs=-1, type=MigrationName(), metavar="[NAME]...")
@click.option("--to", type=MigrationName(), metavar="NAME", help="Everything up to this one.")
@click.option("--out", metavar="FILE", help="Write the plan to a file.")
def command(call: Call, names: tuple[str, ...], to: str | None, out: str | None) -> None:
    """Show what `up` would do, in order: statements, steps, ways back, losses and warnings. Changes nothing."""
    from bascule.cli.statements import forecast_lines, plan_lines
    from bascule.services.plan import create_plan

    with reading(call) as context:
        report = create_plan(context, names=names, to=to)
        written = _write(call, context, report.migrations, out) if out is not None else None
    for line in (*plan_lines(report.migrations, report.forecast), *forecast_lines(report.forecast)):
        call.output.text(call.output.clean(line))
    if not report.migrations:
        call.output.text("Nothing to do.")
    if report.hooks:
        call.output.text(f"Hooks: {', '.join(report.hooks)}.")
    for warning in report.warnings:
        call.output.warn(warning)
    if written is not None:
        until = written.expires_at.isoformat(timespec="minutes")
        call.output.text(f"Written to {out}; good until {until}. Run it with: bascule up --plan {out}")
    call.output.document(report.as_dict() | ({"plan": written.as_dict()} if written is not None else {}))


def _write(call: Call, context: Context, migrations: Sequence[PlannedMigration], out: str) -> PlanFile:
    from bascule import wiring
    from bascule.services.plan_file import write_plan
    from bascule.services.trail import with_trail

    # Where plans need approvals it is handed in too, which is a change of what is kept.
    handing_in = with_trail(context, wiring.trail(call.settings, context.target))
    return write_plan(handing_in, migrations, out)
