"""Getting a tool from its registry, with the registry's ordinary client as it is set up on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.many import Small

_DONE = "installed.json"
"""Holds what was asked for; written last, so a half-made folder is made again."""
_VERSION = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


class NotInstalled(Exception):
    """A peer cannot be had on this machine; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a peer's module works with."""

    dialect: str
    migrations: list[Small]
    folder: Path
    """For its migrations; empty, and gone after the run."""
    tools: Path
    """For the tool itself; may be there from a run before."""
    server_programs: Path | None
    """The folder of PostgreSQL's own programs."""
    versions: list[str]
    """Grows by what is installed."""


def python_programs(setting: Setting, packages: Sequence[str]) -> Path:
    """The `bin` folder of a virtual environment with these packages, the tool's first. Raises `NotInstalled`."""
    programs = setting.tools / "venv" / "bin"
    wanted = [sys.version, *packages]
    if not _is_there(setting.tools, wanted):
        _run([sys.executable, "-m", "venv", setting.tools / "venv"], setting.tools)
        pip: list[str | Path] = [programs / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*pip, *packages], setting.tools)
        _note(setting.tools, wanted)
    version = _run([programs / "python", "-c", _VERSION, packages[0]], setting.tools).strip()
    setting.versions.append(f"{packages[0]} {version}")
    return programs


def node_modules(setting: Setting, packages: Sequence[str]) -> Path:
    """A `node_modules` folder with these packages, the tool's first. Raises `NotInstalled`."""
    if not _is_there(setting.tools, packages):
        (setting.tools / "package.json").write_text('{"name": "peer", "version": "1.0.0", "private": true}\n')
        _run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *packages], setting.tools)
        _note(setting.tools, packages)
    modules = setting.tools / "node_modules"
    version = json.loads((modules / packages[0] / "package.json").read_text())["version"]
    setting.versions.append(f"{packages[0]} {version}")
    return modules


def compile_python(programs: Path, folder: Path) -> None:
    """Compile a peer's migrations before they are timed, as they are on a machine where it ran once."""
    _run([programs / "python", "-m", "compileall", "-q", folder], folder)


def _is_there(tools: Path, wanted: Sequence[str]) -> bool:
    """Whether a run before has installed just these; otherwise the folder is empty afterwards."""
    done = tools / _DONE
    if done.is_file() and json.loads(done.read_text()) == list(wanted):
        return True
    shutil.rmtree(tools, ignore_errors=True)
    tools.mkdir(parents=True)
    return False


def _note(tools: Path, wanted: Sequence[str]) -> None:
    (tools / _DONE).write_text(json.dumps(list(wanted)))


def _run(command: Sequence[str | Path], cwd: Path) -> str:
    try:
        done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NotInstalled(str(problem)) from problem
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotInstalled(said[-1] if said else f"{command[0]} ended with {done.returncode}")
    return done.stdout
