"""dbmate, from its npm package, installed into a folder of its own for the length of the run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.many import Small, write_native
from benchmarks.peers import Peer
from benchmarks.timing import environment


def prepare(folder: Path, migrations: list[Small], database: str) -> list[Peer]:
    """Install it; its files are Bascule's."""
    install = ["npm", "install", "--silent", "--prefix", str(folder), "dbmate"]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    program = folder / "node_modules" / ".bin" / "dbmate"
    scripts = write_native(folder / "migrations", migrations)

    def address(url: str) -> str:
        return url.replace("sqlite:///", "sqlite:") if database == "sqlite" else f"{url}?sslmode=disable"

    return [
        Peer(
            name="dbmate",
            command=lambda url: [
                *(str(program), "--url", address(url), "--migrations-dir", str(scripts)),
                *("--no-dump-schema", "migrate"),
            ],
            cwd=folder,
            env=lambda url: environment(),
        )
    ]
