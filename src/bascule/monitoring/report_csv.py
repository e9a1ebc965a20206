"""The runs of a period, one a line, for spreadsheets."""

from __future__ import annotations

from typing import Final

from bascule.domain.period import PeriodReport
from bascule.domain.run import iso

COLUMNS: Final = (
    "id",
    "name",
    "direction",
    "status",
    "timestamp",
    "executionTime",
    "verdict",
    "rowsAffected",
    "lockWaitTime",
    "memoryUsage",
    "walBytes",
    "error",
    "estimatedDuration",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_csv(report: PeriodReport) -> str:
    """Comma-separated as RFC 4180 has it, the first line names the columns."""
    measured = {(each.run_id, each.direction): each for each in report.performance}
    lines = [",".join(COLUMNS)]
    for run in report.runs:
        record = measured.get((run.id, run.direction))
        cells = (
            run.id,
            run.name,
            run.direction,
            run.status,
            iso(run.timestamp),
            run.execution_ms,
            run.verdict,
            record.rows if record else None,
            record.lock_wait_ms if record else None,
            record.memory_bytes if record else None,
            record.wal_bytes if record else None,
            run.error,
            run.estimated_ms or None,
        )
        lines.append(",".join(map(_cell, cells)))
    return "\r\n".join(lines) + "\r\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, str) and text.startswith(_FORMULA):
        # A spreadsheet would take it for a formula, and run it.
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if any(each in text for each in ',"\r\n') else text
