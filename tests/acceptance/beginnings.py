"""What many tests begin with: made once in each process, by the real command, and copied from then on."""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bascule.testing import PostgresServer
from tests.acceptance.commandline import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What was left."""

    folder: Path
    database: str
    """Of the server; empty where the database is a file in the folder."""


_MADE: dict[tuple[str, int], _Made] = {}
_numbers = itertools.count(1)


def begin(project: Project, what: str, make: Callable[[], None], *, server: PostgresServer | None = None) -> None:
    """`make` something of the project and its empty database, or put there what that left when it was done before.

    `what` names it among all of this process; `server`: where the database is, if it is not a file in the project's
    folder. Nobody may be connected to it.
    """
    key = (what, server.port if server else 0)
    if key not in _MADE:
        make()
        _MADE[key] = _kept(project, server)
        return
    made = _MADE[key]
    shutil.copytree(made.folder, project.folder, dirs_exist_ok=True)
    if server:
        server.drop_database(_database(project))
        server.create_database(_database(project), template=made.database)


def _kept(project: Project, server: PostgresServer | None) -> _Made:
    folder = Path(tempfile.mkdtemp(prefix="bascule-beginning-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(project.folder, folder, dirs_exist_ok=True)
    database = f"beginning_{next(_numbers)}" if server else ""
    if server:
        server.create_database(database, template=_database(project))
    return _Made(folder=folder, database=database)


def _database(project: Project) -> str:
    return urlsplit(project.environment["DATABASE_URL"]).path[1:]
