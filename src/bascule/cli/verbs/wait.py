"""`bascule wait`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import verb
from bascule.cli.outcome import tell
from bascule.cli.session import changing


@verb("wait")
@click.option("--to", type=MigrationName(), metavar="NAME", help="Wait for this one only.")
@click.option("--timeout", type=click.FloatRange(min=0), default=300.0, metavar="S", help="Seconds; 300 by default.")
def command(call: Call, to: str | None, timeout: float) -> int:
    """Block until the schema is there; for an application that starts beside its migration job."""
    from bascule.services.wait import wait

    with changing(call, progress=False, looks=True) as context:
        context.say(f"Waiting until {to or 'every migration'} is applied, at most {timeout:g} s.")
        report = wait(context, to=to, timeout=timeout)
    return tell(call, report)
