"""Where many processes meet: a database, the way to it, and what must be true of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bascule.testing import PgBouncer, PostgresServer
from tests.acceptance.concurrency import histories
from tests.acceptance.concurrency.fleet import Fleet, Process
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

    def boundary(self, words: str) -> int:
        """The number of the first boundary that is told in these words."""
        return next(number for number, line in enumerate(self.boundaries, 1) if words in line)

    def truth(self) -> Truth:
        """What is in the database now."""
        return self.ground.truth(self.site)

    def faults(self, processes: Sequence[Process]) -> list[str]:
        """What is not as if one process alone had run: the state, how often each migration ran, who says it did."""
        truth = self.truth()
        faults = truth.differences(self.end)
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


@contextmanager
def on_sqlite(root: Path, history: History) -> Iterator[Scene]:
    """A file."""
    with _scene(SqliteGround(root), history, lambda site: site.environment["DATABASE_URL"]) as scene:
        yield scene


@contextmanager
def on_postgresql(
    root: Path, history: History, server: PostgresServer, pooler: PgBouncer | None = None
) -> Iterator[Scene]:
    """A database of the server; the processes reach it through the pooler where there is one."""
    way = pooler or server
    with _scene(PostgresqlGround(root, server), history, lambda site: way.url(site.name)) as scene:
        yield scene


@contextmanager
def scene_of(
    way: Way, root: Path, *, slow: bool, server: PostgresServer | None, pooler: PgBouncer | None
) -> Iterator[Scene]:
    """One of the three, with the history of many short migrations or that with a `slow` one."""
    if way == "SQLite":
        history = histories.SLOW_ON_SQLITE if slow else histories.ON_SQLITE
        with on_sqlite(root, history) as scene:
            yield scene
        return
    assert server is not None, "PostgreSQL needs a server"
    history = histories.SLOW_ON_POSTGRESQL if slow else histories.ON_POSTGRESQL
    with on_postgresql(root, history, server, pooler if "PgBouncer" in way else None) as scene:
        yield scene


@contextmanager
def _scene(ground: Ground, history: History, url: Callable[[Site], str]) -> Iterator[Scene]:
    folder = ground.project(history)
    alone, site = ground.begin(history, folder), ground.begin(history, folder)
    with Fleet(folder, alone.environment) as one:
        boundaries = one.list_boundaries()
    try:
        with Fleet(folder, {"DATABASE_URL": url(site)}) as fleet:
            yield Scene(ground=ground, site=site, fleet=fleet, end=ground.truth(alone), boundaries=boundaries)
    finally:
        for each in (alone, site):
            ground.remove(each)
        ground.close()
