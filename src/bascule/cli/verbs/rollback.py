"""`bascule rollback`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import lock_wait, verb, yes_production
from bascule.cli.outcome import tell
from bascule.cli.session import changing
from bascule.services.requests import RollbackRequest


@lock_wait
@verb("rollback")
@click.argument("name", required=False, type=MigrationName())
@click.option("--to", type=MigrationName(), metavar="NAME", help="Back to this one, which stays.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="The last so many.")
@click.option("--backup", metavar="PATH", help="Restore this backup instead of running down scripts.")
@click.option("--dry-run", is_flag=True, help="Print exactly what would run, and run nothing.")
@click.option("--accept-data-loss", is_flag=True, help="What cannot be brought back is meant; needed in production.")
@click.option("--no-validate", is_flag=True, help="Do not ask the data rules around it.")
@click.option("--no-backup", is_flag=True, help="No backup before rolling back.")
@click.option("--no-progress", is_flag=True, help="No progress on stderr.")
@yes_production("Roll back on production, for this reason")
def command(
    call: Call,
    name: str | None,
    to: str | None,
    steps: int | None,
    backup: str | None,
    dry_run: bool,
    accept_data_loss: bool,
    no_validate: bool,
    no_backup: bool,
    no_progress: bool,
    yes_production: str | None,
) -> int:
    """Undo the last applied migration, the one named with those that depend on it, or several."""
    if sum(value is not None for value in (name, to, steps)) > 1:
        raise click.UsageError("NAME, --to and --steps exclude each other", click.get_current_context())
    request = RollbackRequest(
        name=name,
        to=to,
        steps=steps,
        backup=backup,
        dry_run=dry_run,
        accept_data_loss=accept_data_loss,
        yes=call.yes,
        validate=not no_validate,
        make_backup=not no_backup,
        reason=yes_production,
    )
    from bascule.services.rollback import rollback

    with changing(call, progress=not (no_progress or dry_run), looks=dry_run) as context:
        report = rollback(context, request)
    return tell(call, report, dry_run=dry_run)
