"""`bascule accept NAME --reason R`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import verb
from bascule.cli.outcome import tell
from bascule.cli.session import changing


@verb("accept")
@click.argument("name", type=MigrationName())
@click.option("--reason", required=True, metavar="R", help="Why; kept in the journal with your name.")
def command(call: Call, name: str, reason: str) -> int:
    """Take an applied migration's edited file as it is now (or accept that it is gone)."""
    from bascule.services.accept import accept

    with changing(call, progress=False) as context:
        report = accept(context, name, reason, context.owner)
    return tell(call, report)
