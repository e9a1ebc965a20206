"""What is timed: a command line for a database, and how to see that it has recorded its work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.many import Small, write_native
from benchmarks.timing import python

LOOP = "bare loop"
BASCULE = "bascule up"

Command = list[str | Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to run the migrations."""

    name: str
    command: Callable[[str], Command]
    """From the database's URL."""
    folder: Path
    """Where it is started."""
    environment: Callable[[str], Mapping[str, str]] = field(default=lambda _: {})
    """What it needs besides ours, from the URL."""
    recorded: str | None = None
    """Query for the number of migrations it has recorded; None where it keeps no ledger."""
    is_peer: bool = False
    """A tool for the same job, which Bascule has to be quicker than."""


def loop(dialect: str, migrations: list[Small], home: Path) -> Contender:
    """The same statements, one transaction and one ledger row each, and nothing else."""
    folder = home / "plain"
    folder.mkdir()
    for each in migrations:
        (folder / f"{each.name}.sql").write_text(each.up)
    script = Path(__file__).parent / "loops.py"

    def command(url: str) -> Command:
        return [python(), script, dialect, url.removeprefix("sqlite:///"), folder]

    return Contender(name=LOOP, command=command, folder=home, recorded="SELECT count(*) FROM loop_ledger")


def bascule(dialect: str, migrations: list[Small], home: Path) -> Contender:
    """As a user runs it, with all that makes a run safe."""
    folder = write_native(home / "native", migrations)

    def command(url: str) -> Command:
        up: Command = [python(), "-m", "bascule", "up", "--no-progress", "--no-validate", "--no-backup"]
        return [*up, "--database-url", url, "--migrations-dir", folder]

    table = "bascule.ledger" if dialect == "postgresql" else "bascule_ledger"
    return Contender(name=BASCULE, command=command, folder=home, recorded=f"SELECT count(*) FROM {table}")
