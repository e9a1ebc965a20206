"""`bascule logs`."""

from __future__ import annotations

import json

import click

from bascule.cli.call import Call
from bascule.cli.names import MigrationName
from bascule.cli.options import verb
from bascule.cli.session import reading
from bascule.cli.words import moment, table


@verb("logs")
@click.argument("name", required=False, type=MigrationName())
@click.option("--limit", type=click.IntRange(min=0), default=100, help="How many facts; 0: all.", metavar="N")
def command(call: Call, name: str | None, limit: int) -> None:
    """Show the journal, oldest fact first: what each run began, finished, repaired and failed at."""
    from bascule.planning.names import find
    from bascule.services.logs import log_line, logs

    with reading(call) as context:
        whole = find(name, context.source.listing()).name if name else None
        facts = logs(context, migration=whole, limit=limit)
    rows = []
    for fact in facts:
        data = json.dumps(dict(fact.data), ensure_ascii=False, default=str) if fact.data else ""
        step = f"step {fact.step + 1}" if fact.step is not None else ""
        rows.append((moment(fact.at), fact.kind, fact.migration, step, data if len(data) <= 300 else f"{data[:299]}…"))
    for line in table(rows, indent=""):
        call.output.text(call.output.clean(line))
    if not facts:
        call.output.text("The journal is empty.")
    call.output.document([log_line(fact) for fact in facts])
