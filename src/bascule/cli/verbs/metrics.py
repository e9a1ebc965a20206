"""`bascule metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.session import reading
from bascule.cli.words import duration, moment, table

if TYPE_CHECKING:
    from bascule.domain.metrics import Metrics


@verb("metrics")
@click.option("--prometheus", is_flag=True, help="Print them as Prometheus reads them.")
@click.option("--textfile", is_flag=True, help="Write that to the folder of the metrics (MIGRATION_METRICS_DIR).")
def command(call: Call, prometheus: bool, textfile: bool) -> None:
    """Show how many runs there were, how they ended, and how long they took."""
    from bascule import wiring
    from bascule.services.metrics import metrics
    from bascule.services.performance import performance

    with reading(call) as context:
        found = metrics(context)
        newest = performance(context, limit=100)
        text = wiring.prometheus(call.settings, context, found) if prometheus or textfile else ""
    if textfile:
        path = wiring.write_metrics(call.settings, text)
        call.output.note(f"Written to {path}.")
    if prometheus:
        call.output.text(text.rstrip("\n"))
    elif not textfile:
        for line in _lines(found):
            call.output.text(line)
    call.output.document({"metrics": found.as_dict(), "performance": [each.as_dict() for each in newest]})


def _lines(found: Metrics) -> list[str]:
    last = found.last_migration_time
    rows = [
        ("migrations run", f"{found.total_migrations}"),
        ("  well", f"{found.successful_migrations} ({found.migration_success_rate:g} %)"),
        ("  failed", f"{found.failed_migrations}"),
        ("  time", f"{duration(found.total_execution_time / 1000)} in all"),
        ("  on average", duration(found.average_execution_time / 1000)),
        ("  last", f"{moment(last)} UTC" if last else "-"),
        ("rolled back", f"{found.rollback_count} ({found.rollback_success_rate:g} %)"),
        ("validation failures", f"{found.validation_failures}"),
    ]
    rows += [(f"  {rule}", f"{count}") for rule, count in found.validation_failures_by_rule.items()]
    own = found.monitoring
    if own.get("runs"):
        rows.append(("watching", f"{own['sharePercent']:g} % of the time of the newest {own['runs']} runs"))
    return table(rows, indent="")
