"""psql: all statements as one transaction, recorded nowhere. No peer, but the least that the server itself takes."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.peers.installing import NotInstalled, Setting


def contenders(setting: Setting) -> list[Contender]:
    """From the server's own folder, or the one on the PATH: the wheel's server comes without it."""
    if setting.server_programs is None:
        raise NotInstalled("it is PostgreSQL's")
    beside = setting.server_programs / "psql"
    program = str(beside) if beside.is_file() else shutil.which("psql")
    if program is None:
        raise NotInstalled("neither beside the server nor on the PATH")
    script = _script(setting)
    options = ["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1"]
    return [
        Contender(
            name="psql -1 (reference)",
            command=lambda url: [program, *options, "-d", url, "-f", script],
            folder=setting.folder,
        )
    ]


def _script(setting: Setting) -> Path:
    script = setting.folder / "all.sql"
    script.write_text("".join(f"{each.up};\n" for each in setting.migrations))
    return script
