"""Whole processes, timed as a user meets them: wall clock, and the processor time of the process and its children."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One process."""

    wall: float
    """Seconds from its start to its end."""
    cpu: float
    """Seconds of processor time, its own and the system's on its behalf; not the server's."""


class DidNotWork(Exception):
    """A process that is to be timed ended badly; what it said is the message."""


def environment(**more: str) -> dict[str, str]:
    """This process's, without what would change how Python starts or where Bascule looks."""
    foreign = ("PYTHON", "PG", "DATABASE_", "BASCULE_", "MIGRATION_", "COVERAGE_", "OTEL_", "TRACE")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | more


def timed(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None) -> Timed:
    """Run it to its end. Raises `DidNotWork`."""
    with tempfile.TemporaryFile() as words:
        begun = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=cwd,
            env=environment() if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
        )
        # wait4 alone tells the processor time of this one process and the children it waited for.
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            words.seek(0)
            told = words.read().decode(errors="replace")[-2000:]
            raise DidNotWork(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{told}")
    return Timed(wall=wall, cpu=used.ru_utime + used.ru_stime)


def python() -> str:
    """The interpreter of this environment, called directly: no launcher's time is counted."""
    return sys.executable


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Several measurements of one thing."""

    low: float
    median: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(low=min(values), median=statistics.median(values), high=max(values))


def table(rows: Sequence[Sequence[str]], *, indent: str = "  ") -> str:
    """Columns as wide as their widest cell, the first to the left and numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(indent + "  ".join(cells).rstrip())
    return "\n".join(lines)
