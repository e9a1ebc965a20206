"""How a command that changed something, or would have, tells its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bascule.cli.call import Call
from bascule.cli.words import duration

if TYPE_CHECKING:
    from bascule.domain.run import Run
    from bascule.services.report import Report

_VERDICTS = {
    "exact": "the schema is exactly as it was before",
    "column_order": "the schema is as it was before, but for the order of columns",
    "cosmetic": "the schema is as it was before, but for generated names or layout",
    "lossy": "the schema is NOT as it was before",
    "none": "there was no way back; the schema was left as it is",
    "unverified": "whether all is as it was before could not be seen",
}


def tell(call: Call, report: Report, *, dry_run: bool = False) -> int:
    """Text or JSON of a report, and the exit code."""
    output = call.output
    if report.planned:
        from bascule.cli.statements import plan_lines

        for line in plan_lines(report.planned):
            output.text(output.clean(line))
        output.text()
    lines = [line for run in report.runs for line in _run_lines(run)[1 if output.followed else 0 :]]
    output.text("\n".join([*lines, report.message]))
    if dry_run:
        # A run has said them before it began.
        for warning in report.warnings:
            output.warn(warning)
    output.document(_document(report, dry_run=dry_run))
    return 0 if report.success else 1


def _document(report: Report, *, dry_run: bool) -> dict[str, Any]:
    document = report.as_dict()
    if dry_run:
        from bascule.services.plan import describe

        document |= {"dryRun": True, "plan": [describe(planned) for planned in report.planned]}
    return document


def _run_lines(run: Run) -> list[str]:
    taken = duration(run.execution_ms / 1000)
    lines = [f"{run.status.replace('_', ' '):<11}  {run.name}  {taken}"]
    lines += [f"  {note}" for note in run.notes]
    if run.verdict is not None:
        lines.append(f"  {_VERDICTS.get(run.verdict, run.verdict)}")
        lines += [f"    {difference}" for difference in run.differences]
    return lines
