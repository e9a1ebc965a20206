"""`bascule history`."""

from __future__ import annotations

import click

from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.session import reading
from bascule.cli.words import duration, moment, table


@verb("history")
@click.option("--limit", type=click.IntRange(min=0), default=100, help="How many runs; 0: all.", metavar="N")
def command(call: Call, limit: int) -> None:
    """Show past runs, newest first."""
    from bascule.services.history import history

    with reading(call) as context:
        runs = history(context, limit=limit)
    rows = []
    for run in runs:
        words = (run.error or "").splitlines()[:1] or ([f"verdict: {run.verdict}"] if run.verdict else [])
        status = "interrupted" if run.extra.get("interrupted") else run.status
        rows.append((moment(run.timestamp), status, duration(run.execution_ms / 1000), run.name, "".join(words)))
    for line in table(rows, indent=""):
        call.output.text(line)
    if not runs:
        call.output.text("No migration has run here yet.")
    call.output.document([run.as_dict() for run in runs])
