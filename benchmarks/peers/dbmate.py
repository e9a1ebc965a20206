"""dbmate, from its npm package: a transaction for each migration."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders import Command, Contender
from benchmarks.many import write_native
from benchmarks.peers.installing import NotInstalled, Setting, node_modules


def contenders(setting: Setting) -> list[Contender]:
    """The same files as Bascule's: the formats are one."""
    program = _program(node_modules(setting, ["dbmate"]))
    scripts = write_native(setting.folder / "migrations", setting.migrations)

    def command(url: str) -> Command:
        address = url.replace("sqlite:///", "sqlite:") if setting.dialect == "sqlite" else f"{url}?sslmode=disable"
        return [program, "--url", address, "--migrations-dir", scripts, "--no-dump-schema", "migrate"]

    return [
        Contender(
            name="dbmate",
            command=command,
            folder=setting.folder,
            recorded="SELECT count(*) FROM schema_migrations",
            is_peer=True,
        )
    ]


def _program(modules: Path) -> Path:
    """The program itself, without the start of Node before it."""
    for program in modules.glob("@dbmate/*/bin/dbmate"):
        return program
    raise NotInstalled("its package holds no program for this machine")
