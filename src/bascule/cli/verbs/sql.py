"""`bascule sql`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import verb
from bascule.cli.session import reading


@verb("sql")
@click.argument("names", nargs=-1, type=MigrationName(), metavar="[NAME]...")
@click.option("--to", type=MigrationName(), metavar="NAME", help="Everything up to this one.")
@click.option("--down", is_flag=True, help="The way back instead.")
def command(call: Call, names: tuple[str, ...], to: str | None, down: bool) -> None:
    """Print the SQL that `up` would run, with its ledger rows, to be run by hand. Changes nothing."""
    from bascule.services.script import script

    with reading(call) as context:
        text = script(context, names=names, to=to, direction="down" if down else "up")
    call.output.text(text.removesuffix("\n"))
    call.output.document({"sql": text}, exactly=True)
