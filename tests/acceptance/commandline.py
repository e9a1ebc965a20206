"""A project on disk, and the real command run in it as a real process."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASCULE = (sys.executable, "-m", "bascule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a process left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its stdout, which must be one JSON document and nothing else."""
        return json.loads(self.out)


class Project:
    """A folder with migrations, and the environment its commands run in."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            # Whoever tests another checkout than the one that is installed.
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
            **environment,
        }

    def write(self, name: str, up: str, down: str | None = "", *, options: str = "") -> Path:
        """A migration in the native format; `down` None: no way back is written."""
        path = self.folder / "migrations" / f"{name}.sql"
        path.parent.mkdir(exist_ok=True)
        back = "" if down is None else f"-- migrate:down\n{down}\n"
        path.write_text(f"-- migrate:up{options}\n{up}\n{back}", encoding="utf-8")
        return path

    def run(self, *arguments: str, **environment: str) -> Answer:
        """Run to the end, with nothing on stdin."""
        done = subprocess.run(
            [*BASCULE, *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    def well(self, *arguments: str, **environment: str) -> Answer:
        """Run to the end, which must be a good one."""
        answer = self.run(*arguments, **environment)
        assert answer.code == 0, answer
        return answer

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin, and answer the process."""
        return subprocess.Popen(
            [*BASCULE, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def names(self) -> set[str]:
        """Applied migrations, as the command tells them."""
        return {run["name"] for run in self.well("status", "--json").json["completed"]}


def end(process: subprocess.Popen[str], number: signal.Signals) -> Answer:
    """Send the signal and wait for the end."""
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return Answer(code=process.returncode, out=out, err=err)


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    """Look into an SQLite file."""
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
