"""`bascule status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.session import reading
from bascule.cli.words import moment, plural, table
from bascule.domain.history import Fact

if TYPE_CHECKING:
    from bascule.services.context import Context
    from bascule.services.status import StatusReport

SHOWN = 20
"""Names that a list shows to people; JSON has the newest 100."""


@verb("status")
@click.option("--check", is_flag=True, help="Exit with 3 when something is pending or not in order.")
@click.option("--limit", type=click.IntRange(min=0), default=100, help="Entries per list in JSON; 0: all.", metavar="N")
def command(call: Call, check: bool, limit: int) -> int:
    """Show what is applied, pending, failed and running. Runs nothing and creates nothing."""
    from bascule.services.status import status
    from bascule.sources.cache import FingerprintCache, fingerprints_cached

    with reading(call) as context:
        cache = FingerprintCache(context.source.folder)
        known = fingerprints_cached((ref for ref in context.source.listing() if not ref.repeatable), cache)
        report = status(context, limit=limit, fingerprints=known)
        for line in lines(report, context):
            call.output.text(line)
        for words in context.source.passed_over():
            call.output.note(f"Passed over: {words}")
    call.output.document(report.as_dict())
    if check and not report.in_order:
        call.output.insist(f"Not in order: {_what(report)}. The database is unchanged. Next: bascule up.")
        return 3
    return 0


def lines(report: StatusReport, context: Context) -> list[str]:
    """The report for people."""
    info = context.target.describe()
    environment = info.environment or (context.policy.environment if context.policy.environment_named else "not marked")
    summary = report.summary
    answer = [
        f"{info.server} · {info.location or info.database} · environment: {environment}",
        f"{summary['completed']} applied · {summary['pending']} pending"
        + (f" · {summary['failed']} failed" if summary["failed"] else "")
        + (f" · last: {_last(report)}" if report.situation.applied else ""),
    ]
    if report.running is not None:
        answer.append(
            f"Running: {report.running.run} by {report.running.owner} since {moment(report.running.since)} UTC"
        )
    answer += _section("Half done (the next `bascule up` goes on with it)", [(name,) for name in report.half_up])
    title = "Half rolled back (the next `bascule rollback` goes on with it)"
    answer += _section(title, [(name,) for name in report.half_back])
    stayed = [name for name in report.failed if name not in report.pending and name not in report.half_done]
    answer += _section("Applied, and their rollback failed", [(name, _remarks(report, name)) for name in stayed])
    answer += _section("Applied, but their file is gone", [(name,) for name in report.missing])
    answer += _section("Applied, but their file was edited since", [(name,) for name in report.edited])
    answer += _section("Pending", [(name, _remarks(report, name)) for name in report.pending])
    return answer


def _last(report: StatusReport) -> str:
    entry = report.situation.applied[-1]
    return f"{entry.name} ({moment(entry.applied_at)} UTC)"


def _remarks(report: StatusReport, name: str) -> str:
    remarks = []
    if name in report.late:
        remarks.append("late: older than the newest applied one")
    if name in report.failed:
        fact = report.failed[name]
        word = "interrupted" if fact.kind == "run_interrupted" else "failed"
        remarks.append(f"{word}{_when(fact)}: {_first_line(fact)}")
        if fact.data.get("next"):
            remarks.append(f"next: {fact.data['next']}")
    if name in report.rolled_back:
        remarks.append(f"rolled back{_when(report.rolled_back[name])}")
    return "; ".join(remarks)


def _when(fact: Fact) -> str:
    return f" {moment(fact.at)}" if fact.at else ""


def _first_line(fact: Fact) -> str:
    text = str(fact.data.get("error") or "").strip()
    return text.splitlines()[0] if text else "no reason was kept"


def _section(title: str, rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    more = [f"  … and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return ["", title, *table(rows[:SHOWN]), *more]


def _what(report: StatusReport) -> str:
    counts = (
        (len(report.pending), "pending"),
        (len(report.half_done), "half done"),
        (len(report.missing), "without its file"),
        (len(report.edited), "edited"),
    )
    return ", ".join(f"{plural(count, 'migration')} {word}" for count, word in counts if count)
