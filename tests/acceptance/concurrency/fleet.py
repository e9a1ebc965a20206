"""Many real processes of Bascule at once on one database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PATIENCE = 120.0
"""Seconds for everything that takes a few on a machine of one's own."""
_CRASH_KIT = (sys.executable, "-m", "bascule.testing.crash", "--driver")


class Process:
    """One run of Bascule. What it prints goes to files, so that it can be read while it runs."""

    def __init__(self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], name: str) -> None:
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """It has not ended."""
        return self._process.poll() is None

    @property
    def said(self) -> str:
        """What it has told people so far."""
        return self._err.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired, after killing it."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise

    def end(self) -> None:
        """Whatever it does: it is over."""
        if self.is_running:
            self._process.kill()
            self._process.wait()

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document it printed; empty when it printed none."""
        text = self._out.read_text(encoding="utf-8")
        return json.loads(text) if text.strip() else {}

    @property
    def applied(self) -> list[str]:
        """Migrations it says that it has run."""
        return [run["name"] for run in self.document.get("data", []) if run["status"] == "completed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A process that waits at a boundary until it is let go."""

    process: Process
    file: Path

    def let_go(self) -> None:
        """It goes on."""
        self.file.unlink()


class Fleet:
    """Processes in one project folder. Leaving the block ends those that still run."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ},
            "XDG_CACHE_HOME": str(folder / "cache"),
            **environment,
        }
        self.processes: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.end()

    def start(self, *arguments: str) -> Process:
        """One more, with these arguments, or a plain ``up``."""
        return self._start([sys.executable, "-m", "bascule"], arguments)

    def hold(self, boundary: str) -> Held:
        """One more, which stays where that boundary's words are first reached. Returns when it is there."""
        held = self._start_held(boundary, ())
        wait_until(lambda: held.file.exists() or not held.process.is_running)
        assert held.file.exists(), f"it was over before: {held.process.said}"
        return held

    def list_boundaries(self) -> tuple[str, ...]:
        """Run one to its end, which must be a good one, and list the words of its boundaries."""
        file = self._folder / "boundaries"
        process = self._start([*_CRASH_KIT, "--list", str(file), "--"], ())
        assert process.wait() == 0, process.said
        return tuple(line.partition(" ")[2] for line in file.read_text(encoding="utf-8").splitlines())

    def start_at_once(self, count: int) -> list[Process]:
        """So many; each has been started and is about to begin when all of them are let go together."""
        held = [self._start_held("1", ()) for _ in range(count)]
        wait_until(lambda: all(each.file.exists() or not each.process.is_running for each in held))
        for each in held:
            each.file.unlink(missing_ok=True)
        return [each.process for each in held]

    def _start_held(self, at: str, arguments: Sequence[str]) -> Held:
        file = self._folder / f"held-{len(self.processes)}"
        command = [*_CRASH_KIT, "--at", at, "--pause", str(file), "--"]
        return Held(process=self._start(command, arguments), file=file)

    def _start(self, command: Sequence[str], arguments: Sequence[str]) -> Process:
        process = Process(
            [*command, *(arguments or ("up",)), "--json"],
            folder=self._folder,
            environment=self._environment,
            name=f"process-{len(self.processes)}",
        )
        self.processes.append(process)
        return process


def wait_until(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Return when it is so. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"Not so within {seconds:g} s.")
        time.sleep(0.01)
