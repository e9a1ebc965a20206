"""yoyo, in its default way: a transaction for each migration."""

from __future__ import annotations

from benchmarks.contenders import Command, Contender
from benchmarks.peers.installing import Setting, python_programs


def contenders(setting: Setting) -> list[Contender]:
    """SQL files with their rollbacks."""
    # It imports pkg_resources, which later setuptools have no more.
    programs = python_programs(setting, ["yoyo-migrations", "psycopg[binary]", "setuptools<81"])
    scripts = setting.folder / "migrations"
    scripts.mkdir()
    for each in setting.migrations:
        (scripts / f"{each.name}.sql").write_text(f"{each.up};\n")
        (scripts / f"{each.name}.rollback.sql").write_text(f"{each.down};\n")

    def command(url: str) -> Command:
        address = url.replace("postgresql://", "postgresql+psycopg://")
        return [programs / "yoyo", "apply", "--batch", "--no-config-file", "--database", address, scripts]

    return [
        Contender(
            name="yoyo",
            command=command,
            folder=setting.folder,
            recorded="SELECT count(*) FROM _yoyo_migration",
            is_peer=True,
        )
    ]
