"""`bascule mark NAME --applied|--pending`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import verb, yes_production
from bascule.cli.outcome import tell
from bascule.cli.session import changing


@verb("mark")
@click.argument("name", type=MigrationName())
@click.option("--applied", "applied", flag_value="applied", help="Record it as applied.")
@click.option("--pending", "applied", flag_value="pending", help="Record it as not applied.")
@click.option("--reason", default="", metavar="R", help="Why; kept in the journal with your name.")
@yes_production("Correct the ledger of production, for this reason")
def command(call: Call, name: str, applied: str | None, reason: str, yes_production: str | None) -> int:
    """Correct the ledger without running anything (Alembic's stamp, Django's --fake)."""
    from bascule.services.mark import mark

    if applied is None:
        raise click.UsageError("Say --applied or --pending", click.get_current_context())
    with changing(call, progress=False) as context:
        report = mark(context, name, applied == "applied", context.owner, reason, yes_production=yes_production)
    return tell(call, report)
