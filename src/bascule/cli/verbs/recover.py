"""`bascule recover`."""

from __future__ import annotations

from typing import Literal

import click

from bascule.cli.call import Call
from bascule.cli.options import lock_wait, verb, yes_production
from bascule.cli.outcome import tell
from bascule.cli.session import changing


@lock_wait
@verb("recover")
@click.option(
    "--answer",
    type=click.Choice(["done", "again"]),
    help="Reply to the question a run asked with exit 5: the statement ran (done), or it did not (again).",
)
@yes_production("Go on with an edited file on production, for this reason")
def command(call: Call, answer: Literal["done", "again"] | None, yes_production: str | None) -> int:
    """Finish or undo what a crash left. `up` and `rollback` do it by themselves before anything else."""
    from bascule.services.recover import recover

    with changing(call) as context:
        report = recover(context, answer=answer, reason=yes_production)
    return tell(call, report)
