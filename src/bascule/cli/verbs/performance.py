"""`bascule performance`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.session import reading
from bascule.cli.words import duration, moment, table

if TYPE_CHECKING:
    from bascule.domain.performance import Performance

_HEAD = ("ended (UTC)", "took", "rows", "lock waits", "memory", "WAL", "status", "migration")


@verb("performance")
@click.option("--limit", type=click.IntRange(min=0), default=100, help="How many runs; 0: all.", metavar="N")
def command(call: Call, limit: int) -> None:
    """Show what past runs took of host and server, newest first."""
    from bascule.services.performance import performance

    with reading(call) as context:
        records = performance(context, limit=limit)
    rows = [_HEAD, *map(_row, records)]
    for line in table(rows, indent="") if records else ("Nothing has been measured here yet.",):
        call.output.text(line)
    call.output.document([each.as_dict() for each in records])


def _row(record: Performance) -> tuple[str, ...]:
    from bascule.services.backups import sized

    return (
        moment(record.at),
        duration(record.execution_ms / 1000),
        "-" if record.rows is None else str(record.rows),
        duration(record.lock_wait_ms / 1000),
        "-" if record.memory_bytes is None else sized(record.memory_bytes),
        "-" if record.wal_bytes is None else sized(record.wal_bytes),
        record.status.replace("_", " "),
        record.migration,
    )
