"""`bascule plan`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.notyet import would_mislead
from bascule.cli.options import verb
from bascule.cli.session import reading


@verb("plan")
@click.argument("names", nargs=-1, type=MigrationName(), metavar="[NAME]...")
@click.option("--to", type=MigrationName(), metavar="NAME", help="Everything up to this one.")
@click.option("--out", metavar="FILE", help="Write the plan to a file.")
def command(call: Call, names: tuple[str, ...], to: str | None, out: str | None) -> None:
    """Show what `up` would do, in order: statements, steps, ways back, losses and warnings. Changes nothing."""
    from bascule.cli.statements import plan_lines
    from bascule.services.plan import plan

    if out is not None:
        raise would_mislead("--out", "plans cannot be written to files", "Leave it out; --json prints the plan.")
    with reading(call) as context:
        report = plan(context, names=names, to=to)
    for line in plan_lines(report.migrations):
        call.output.text(call.output.clean(line))
    if not report.migrations:
        call.output.text("Nothing to do.")
    for warning in report.warnings:
        call.output.warn(warning)
    call.output.document(report.as_dict())
