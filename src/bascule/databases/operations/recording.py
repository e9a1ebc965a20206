"""Asks a child process what an author's function would send: user code is a guest, and planning does not let it in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import bascule
from bascule.databases.operations.extra import require_extra
from bascule.databases.operations.recorded import Recorded
from bascule.domain.migration import Direction, Script
from bascule.domain.statement import Dialect, Statement
from bascule.errors import ConfigError

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""What of our environment the child may know. Everything else may be a secret."""

_LAST_WORDS = 500


def record(
    script: Script, direction: Direction, *, dialect: Dialect, server_version: int | None = None, timeout: float = 30.0
) -> Recorded:
    """What ``up(op)`` or ``down(op)`` of `script` would send, found in a child process without database and secrets.

    Never raises for what the author wrote: `Recorded.error` says it, with the line. After `timeout` seconds the child
    and whatever it started are killed. Raises ConfigError without the extra ``alembic`` or without a Python to start.
    """
    require_extra()
    if not sys.executable:
        raise ConfigError(
            "Python migrations are recorded in a child process, but this Python does not know its own program."
        )
    request = {
        "script": {"text": script.text, "path": script.path, "line": script.line, "transaction": script.transaction},
        "direction": direction,
        "dialect": dialect,
        "serverVersion": server_version,
        "timeout": timeout,
    }
    # Files, not pipes: a grandchild that keeps a pipe open could make us wait for it.
    with tempfile.TemporaryFile() as question, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as words:
        question.write(json.dumps(request).encode())
        question.seek(0)
        problem = _run_child(question, answer, words, timeout)
        return _recorded(answer) if problem is None else _unanswered(direction, problem, words)


def _run_child(question: IO[bytes], answer: IO[bytes], words: IO[bytes], timeout: float) -> str | None:
    """Run it to its end; answer what went wrong with the process itself, in words."""
    child = subprocess.Popen(
        # -P: a folder named alembic in the working folder must not hide the library of that name.
        [sys.executable, "-P", "-m", "bascule.databases.operations.recorder"],
        stdin=question,
        stdout=answer,
        stderr=words,
        env=_environment(),
        start_new_session=True,
    )
    try:
        status = child.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"did not come to its end within {timeout:g} s"
    finally:
        # Not yet waited for, so the number of the group is still that of our child.
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if status < 0:
        return f"was ended by signal {-status}"
    return f"ended its process with status {status}" if status else None


def _environment() -> dict[str, str]:
    known = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # The child finds what we find, Bascule first of all.
    path = [str(Path(bascule.__file__).parents[1]), *(entry or str(Path.cwd()) for entry in sys.path)]
    return known | {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Statements made from a set come in the same order each time a plan is shown.
        "PYTHONHASHSEED": "0",
    }


def _recorded(answer: IO[bytes]) -> Recorded:
    answer.seek(0)
    found: dict[str, Any] = json.loads(answer.read())
    return Recorded(
        statements=tuple(Statement(**statement) for statement in found["statements"]),
        depends_on_data=found["dependsOnData"],
        error=found["error"],
        error_line=found["errorLine"],
        hint=found["hint"],
        batched=tuple(found["batched"]),
    )


def _unanswered(direction: Direction, problem: str, words: IO[bytes]) -> Recorded:
    words.seek(0, os.SEEK_END)
    words.seek(max(0, words.tell() - _LAST_WORDS))
    last = words.read().decode(errors="replace").strip()
    return Recorded(
        statements=(),
        error=f"{direction}(op) {problem}" + (f"; its last words: {last}" if last else "."),
        hint="A migration's file and functions should do nothing but call op.",
    )
