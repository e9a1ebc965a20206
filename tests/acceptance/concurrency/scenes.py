"""Where many processes meet: a database, the way to it, and what must be true of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bascule.testing import PgBouncer, PostgresServer
from tests.acceptance.concurrency.fleet import Fleet, Process
from tests.acceptance.concurrency.histories import COUNT_EFFECTS, EFFECTS, ON_POSTGRESQL, ON_SQLITE, Kind
from tests.acceptance.crash.ground import Ground, PostgresqlGround, Site, SqliteGround
from tests.acceptance.crash.histories import History
from tests.acceptance.crash.truth import Truth

Way = Literal["SQLite", "PostgreSQL", "PostgreSQL through PgBouncer"]
WAYS: tuple[Way, ...] = ("SQLite", "PostgreSQL", "PostgreSQL through PgBouncer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A database on which nothing has run yet, and the state in which one process alone would leave it."""

    ground: Ground
    site: Site
    fleet: Fleet
    end: Truth
    boundaries: tuple[str, ...]
    """Of the run of one process alone."""

    def boundary(self, words: str) -> str:
        """The first boundary that is told in these words."""
        return next(line for line in self.boundaries if words in line)

    def truth(self) -> Truth:
        """What is in the database now."""
        return self.ground.truth(self.site)

    def faults(self, processes: Sequence[Process]) -> list[str]:
        """What is not as if one process alone had run: effects, state, how often each ran, who says that it did."""
        truth = self.truth()
        effects = dict(self.ground.ask(self.site, COUNT_EFFECTS))
        faults = truth.differences(self.end)
        if effects != EFFECTS:
            faults.append(f"the effects are {effects} instead of {EFFECTS}")
        if truth.leased:
            faults.append("the lease was not given back")
        for name in truth.ledger:
            times = truth.completed.get(name, 0)
            if times != 1:
                faults.append(f"the journal has {times} times that {name} was completed")
            ran = sum(process.applied.count(name) for process in processes)
            if ran > 1:
                faults.append(f"{ran} processes say that they ran {name}")
        return faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What one process alone does to such a database."""

    end: Truth
    boundaries: tuple[str, ...]


_ALONE: dict[tuple[object, ...], Alone] = {}
"""By the way to the database and the history: it is the same each time, so it is looked at once."""


@contextmanager
def on_sqlite(root: Path) -> Iterator[Scene]:
    """A file."""
    with _scene(SqliteGround(root), ON_SQLITE, ("SQLite",)) as scene:
        yield scene


@contextmanager
def on_postgresql(
    root: Path, server: PostgresServer, pooler: PgBouncer | None, *, kind: Kind = "SQL"
) -> Iterator[Scene]:
    """A database of the server; the processes reach it through the pooler where there is one."""
    way = (server.major, pooler is not None, kind)
    with _scene(PostgresqlGround(root, server, pooler=pooler), ON_POSTGRESQL[kind], way) as scene:
        yield scene


@contextmanager
def _scene(ground: Ground, history: History, way: tuple[object, ...]) -> Iterator[Scene]:
    folder = ground.project(history)
    if way not in _ALONE:
        _ALONE[way] = _alone(ground, history, folder)
    site = ground.begin(history, folder)
    try:
        with Fleet(folder, site.environment) as fleet:
            yield Scene(ground=ground, site=site, fleet=fleet, end=_ALONE[way].end, boundaries=_ALONE[way].boundaries)
    finally:
        ground.remove(site)
        ground.close()


def _alone(ground: Ground, history: History, folder: Path) -> Alone:
    site = ground.begin(history, folder)
    try:
        with Fleet(folder, site.environment) as fleet:
            boundaries = fleet.list_boundaries()
        return Alone(end=ground.truth(site), boundaries=boundaries)
    finally:
        ground.remove(site)
