"""yoyo, installed into a virtual environment of its own for the length of the run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.many import Small
from benchmarks.peers import Peer
from benchmarks.timing import environment, python


def prepare(folder: Path, migrations: list[Small], database: str) -> list[Peer]:
    """Install it, and write one SQL file each."""
    home = folder / "venv"
    subprocess.run([python(), "-m", "venv", str(home)], check=True, capture_output=True, timeout=120)
    packages = ["yoyo-migrations", "psycopg[binary]", "setuptools<81"]
    pip = [str(home / "bin" / "pip"), "install", "-q", *packages]
    subprocess.run(pip, check=True, capture_output=True, timeout=300)
    scripts = folder / "migrations"
    scripts.mkdir()
    before = ""
    for each in migrations:
        depends = f"-- depends: {before}\n" if before else ""
        (scripts / f"{each.name}.sql").write_text(f"{depends}{each.up};\n")
        (scripts / f"{each.name}.rollback.sql").write_text(f"{each.down};\n")
        before = each.name
    return [
        Peer(
            name="yoyo",
            command=lambda url: [
                *(str(home / "bin" / "yoyo"), "apply", "--batch", "--no-config-file", "--database"),
                *(url.replace("postgresql://", "postgresql+psycopg://"), str(scripts)),
            ],
            cwd=folder,
            env=lambda url: environment(),
        )
    ]
