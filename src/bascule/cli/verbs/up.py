"""`bascule up`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import lock_wait, verb, yes_production
from bascule.cli.outcome import tell
from bascule.cli.session import changing
from bascule.errors import UsageError
from bascule.services.requests import UpRequest


@lock_wait
@verb("up")
@click.argument("names", nargs=-1, type=MigrationName(), metavar="[NAME]...")
@click.option("--to", type=MigrationName(), metavar="NAME", help="Everything up to this one.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@click.option("--dry-run", is_flag=True, help="Print exactly what would run, and run nothing.")
@click.option("--plan", metavar="FILE", help="Run this plan and nothing else.")
@click.option("--accept-data-loss", is_flag=True, help="What cannot be undone is meant; needed in production.")
@click.option("--no-validate", is_flag=True, help="Run without looking at the rows that the statements need.")
@click.option("--no-backup", is_flag=True, help="Run without a backup of what can be destroyed.")
@click.option("--no-progress", is_flag=True, help="No progress on stderr.")
@click.option("--no-rollback-on-failure", is_flag=True, help="Leave what a failed migration did as it is.")
@yes_production("Run on production without a plan, for this reason")
def command(
    call: Call,
    names: tuple[str, ...],
    to: str | None,
    steps: int | None,
    dry_run: bool,
    plan: str | None,
    accept_data_loss: bool,
    no_validate: bool,
    no_backup: bool,
    no_progress: bool,
    no_rollback_on_failure: bool,
    yes_production: str | None,
) -> int:
    """Apply pending migrations: all of them, or those named with what they need."""
    if plan is not None and (names or to is not None or steps is not None):
        raise UsageError("--plan runs what the file names, so neither names nor --to nor --steps go with it.")
    request = UpRequest(
        names=names,
        to=to,
        steps=steps,
        dry_run=dry_run,
        validate=not no_validate,
        backup=not no_backup,
        progress=not no_progress,
        rollback_on_failure=not no_rollback_on_failure,
        accept_data_loss=accept_data_loss,
        yes=call.yes,
        reason=yes_production,
    )
    from bascule.services.up import up

    with changing(call, progress=not (no_progress or dry_run), looks=dry_run) as context:
        if plan is not None:
            from bascule.services.plan_file import up_by_plan

            report = up_by_plan(context, request, plan)
        else:
            report = up(context, request)
    return tell(call, report, dry_run=dry_run)
