"""`bascule report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.session import reading
from bascule.cli.words import duration, moment, table

if TYPE_CHECKING:
    from bascule.domain.period import PeriodReport

_SHOWN = 20


@verb("report")
@click.option("--from", "start", help="First day or moment, in UTC.", metavar="DATE")
@click.option("--to", "end", help="Last day, or the moment up to which.", metavar="DATE")
@click.option("--html", type=click.Path(dir_okay=False), help="Write it as one page with charts.", metavar="FILE")
def command(call: Call, start: str | None, end: str | None, html: str | None) -> None:
    """Report on a period: runs, rates, times, health. Without dates the last 30 days."""
    from bascule import wiring
    from bascule.services.period import period_report, read_date

    first = read_date(start, name="--from") if start else None
    last = read_date(end, name="--to", end=True) if end else None
    with reading(call) as context:
        report = period_report(context, start=first, end=last, health=wiring.health(call.settings, context))
    if html is not None:
        wiring.write_text(html, wiring.exported(call.settings, report, "html"))
        call.output.note(f"Written to {html}.")
    for line in lines(report):
        call.output.text(call.output.clean(line))
    call.output.document(report.as_dict())


def lines(report: PeriodReport) -> list[str]:
    """For people."""
    metrics = report.metrics
    counts = (
        f"{metrics.total_migrations} runs, {metrics.failed_migrations} failed "
        f"({metrics.migration_success_rate:g} % well), {duration(metrics.average_execution_time / 1000)} on average; "
        f"{metrics.rollback_count} rolled back; {metrics.validation_failures} validation failures"
    )
    answer = [f"{report.target}, {moment(report.start)} to {moment(report.end)} UTC", counts]
    if report.health is not None:
        answer.append(f"Health now: {report.health.status}")
        answer += [f"  {issue.message}" for issue in report.health.found]
    if metrics.trends:
        rows = [("day", "well", "failed", "rolled back", "time")]
        rows += [
            (
                day.date,
                str(day.completed),
                str(day.failed),
                str(day.rolled_back),
                duration(day.execution_ms / 1000),
            )
            for day in metrics.trends
        ]
        answer += ["", *table(rows)]
    if report.runs:
        shown = report.runs[:_SHOWN]
        answer += ["", *table((moment(run.timestamp), run.status, run.name) for run in shown)]
        if len(report.runs) > len(shown):
            answer.append(f"  … and {len(report.runs) - len(shown)} more")
    return answer
