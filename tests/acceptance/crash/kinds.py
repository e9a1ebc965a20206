"""The ways in which a run is made to crash."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psycopg

from bascule.domain.statement import Dialect
from bascule.testing.crash import Boundaries, Forked, Pause
from tests.acceptance.crash.bench import Bench, Trial
from tests.acceptance.crash.ground import PostgresqlGround, Site
from tests.acceptance.crash.histories import History, Hold

_PATIENCE = 30.0
_BLINK = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One crash of a kind."""

    where: str
    at: int = 0
    then: int | None = None
    """A second crash, in the run after the first: at this boundary."""
    delay: float = 0.0
    hold: Hold | None = None
    how: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way of crashing. `crash` leaves the database as the crash left it, and may answer the next run, if begun."""

    name: str
    databases: tuple[Dialect, ...]
    choices: Callable[[Bench, Random], Sequence[Choice]]
    crash: Callable[[Bench, Site, Choice, Trial], Forked | None]
    at_work: bool = False
    """It needs a session that keeps a statement waiting."""
    few: bool = False
    """Each takes long: a sample is smaller."""
    looks: bool = False
    """Judges what the crash left, before anything else runs."""

    def fits(self, history: History) -> bool:
        """The history can be crashed in this way."""
        if self.looks and not history.looked:
            return False
        return history.database in self.databases and (bool(history.holds) or not self.at_work)


def perform(kind: Kind, bench: Bench, choice: Choice) -> Trial:
    """Crash once, run plainly, judge."""
    trial = Trial(where=choice.where)
    site = bench.site()
    try:
        bench.finish(site, trial, kind.crash(bench, site, choice, trial))
    except TimeoutError as late:
        trial.wrong("exit", str(late))
    finally:
        bench.ground.remove(site)
    return trial


# Where


def _boundaries(bench: Bench, _: Random) -> list[Choice]:
    return [Choice(where=line, at=number) for number, line in enumerate(bench.reference.boundaries, 1)]


def _statements(bench: Bench, _: Random) -> list[Choice]:
    return [Choice(where=line, at=number) for number, line in enumerate(bench.statements, 1)]


def _pairs(bench: Bench, _: Random) -> list[Choice]:
    lines = bench.reference.boundaries
    # The second run has about as many boundaries as the first, and a few more for what it finds.
    second = range(1, len(lines) + 8)
    return [
        Choice(where=f"{line}, then at {then}", at=number, then=then)
        for (number, line), then in itertools.product(enumerate(lines, 1), second)
    ]


def _instants(bench: Bench, random: Random) -> list[Choice]:
    span = bench.reference.seconds * 1.05
    delays = [random.random() * span for _ in range(200)]
    return [Choice(where=f"after {delay * 1000:.1f} ms", delay=delay) for delay in delays]


def _holds(*how: str) -> Callable[[Bench, Random], list[Choice]]:
    def choices(bench: Bench, _: Random) -> list[Choice]:
        return [
            Choice(where=f"{hold.name}: {hold.waits}, {each}", hold=hold, how=each)
            for hold in bench.history.holds
            for each in how
        ]

    return choices


# How


def _kill(bench: Bench, site: Site, choice: Choice, trial: Trial) -> None:
    trial.reached = bench.start(site, boundaries=Boundaries(at=choice.at)).wait().killed


def _kill_and_look(bench: Bench, site: Site, choice: Choice, trial: Trial) -> None:
    _kill(bench, site, choice, trial)
    bench.look(site, trial)


def _kill_twice(bench: Bench, site: Site, choice: Choice, trial: Trial) -> None:
    _kill(bench, site, choice, trial)
    again = bench.start(site, boundaries=Boundaries(at=choice.then)).wait()
    trial.reached = trial.reached and again.killed


def _kill_before_a_crowd(bench: Bench, site: Site, choice: Choice, trial: Trial) -> Forked:
    """Several processes come after it in the same moment, as when a cluster starts everything anew."""
    _kill(bench, site, choice, trial)
    first, *others = [bench.start(site) for _ in range(3)]
    for other in others:
        ended = other.wait()
        if ended.code != bench.history.code and not (ended.code == 5 and bench.history.person):
            trial.wrong("exit", f"one of those after it ended with {ended.code or ended.signal}: {ended.err}")
    return first


def _kill_in_statement(bench: Bench, site: Site, choice: Choice, trial: Trial) -> None:
    trial.reached = bench.start(site, boundaries=Boundaries(at=choice.at), driver=True).wait().killed


def _kill_somewhere(bench: Bench, site: Site, choice: Choice, trial: Trial) -> None:
    run = bench.start(site)
    time.sleep(choice.delay)
    trial.reached = run.kill().killed


def _kill_process(bench: Bench, site: Site, choice: Choice, trial: Trial) -> None:
    """The real command in a real process, and the real command after it."""
    environment = {**_plain_environment(), **site.environment}
    arguments = [*bench.command(site), "--json"]
    crashing = [sys.executable, "-m", "bascule.testing.crash", "--at", str(choice.at), "--", *arguments]
    for command, code in ((crashing, -9), ([sys.executable, "-m", "bascule", *arguments], None)):
        done = subprocess.run(
            command, cwd=site.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        if code is not None:
            trial.reached = done.returncode == code
        elif done.returncode not in (bench.history.code, 5):
            trial.wrong("exit", f"the process after it ended with {done.returncode}: {done.stdout}{done.stderr}")


def _end_sessions(bench: Bench, site: Site, choice: Choice, trial: Trial) -> None:
    """The server ends sessions of a run that waits at a boundary: all of them, or the oldest, or the newest."""
    ground = _server(bench)
    before = ground.truth(site)
    with _paused(bench, site, choice, trial) as run:
        pids = [session.pid for session in ground.sessions(site)]
        chosen = {"all": pids, "oldest": pids[:1], "newest": pids[-1:]}[choice.how]
        for pid in chosen:
            ground.administrate(f"SELECT pg_terminate_backend({pid}, 5000)")
    bench.believe(run.wait(), site, trial, before)


def _stop_server(bench: Bench, site: Site, choice: Choice, trial: Trial) -> None:
    """The server goes down without a word while a run waits at a boundary; it comes back before or after that ends."""
    ground = _server(bench)
    before = ground.truth(site)
    with _paused(bench, site, choice, trial) as run:
        _down(ground, choice.how)
        if "started first" in choice.how:
            ground.server.start()
    ended_early = not run.is_running
    if not ground.server.is_running:
        time.sleep(0.1)  # it meets a server that is not there
        ground.server.start()
    trial.reached = trial.reached and not ended_early
    bench.believe(run.wait(), site, trial, before)


def _interrupt_at_work(bench: Bench, site: Site, choice: Choice, trial: Trial) -> Forked | None:
    """A statement waits, for a session of the application or by itself: it surely is at work, and has not ended."""
    hold = choice.hold
    assert hold is not None
    with _server(bench).connect(site) as holder:
        holder.execute("BEGIN")
        if hold.sql:
            holder.execute(hold.sql.encode())
        run = bench.start(site)
        _wait_until(lambda: not run.is_running or bool(_waiting(bench, site, hold)))
        trial.reached = run.is_running

        def release() -> None:
            if not holder.closed and not holder.broken:
                with contextlib.suppress(psycopg.OperationalError):  # the server went down, and it with it
                    holder.execute("ROLLBACK")

        interruption = _INTERRUPTIONS[choice.how] if trial.reached else _left_alone
        return interruption(bench, site, hold, trial, run, release)


Release = Callable[[], None]


def _left_alone(bench: Bench, site: Site, hold: Hold, trial: Trial, run: Forked, release: Release) -> None:
    release()
    bench.believe(run.wait(), site, trial, bench.reference.start)


def _killed_and_released(bench: Bench, site: Site, hold: Hold, trial: Trial, run: Forked, release: Release) -> Forked:
    """What the dead client asked for may end by itself, just as the next run looks."""
    run.kill()
    begun = bench.start(site)
    release()
    return begun


def _killed_and_held(bench: Bench, site: Site, hold: Hold, trial: Trial, run: Forked, release: Release) -> Forked:
    """The next run finds it unfinished, and has to wait for the same session itself."""
    dead = _waiting(bench, site)
    run.kill()
    begun = bench.start(site)
    _wait_until(lambda: not begun.is_running or bool(_waiting(bench, site) - dead))
    release()
    return begun


def _killed_twice(bench: Bench, site: Site, hold: Hold, trial: Trial, run: Forked, release: Release) -> Forked:
    dead = _waiting(bench, site)
    run.kill()
    second = bench.start(site)
    _wait_until(lambda: not second.is_running or bool(_waiting(bench, site) - dead))
    trial.reached = second.kill().killed
    begun = bench.start(site)
    release()
    return begun


def _ended_by_server(bench: Bench, site: Site, hold: Hold, trial: Trial, run: Forked, release: Release) -> None:
    for pid in _waiting(bench, site, hold):
        _server(bench).administrate(f"SELECT pg_terminate_backend({pid}, 5000)")
    release()
    bench.believe(run.wait(), site, trial, bench.reference.start)


def _cancelled_by_server(bench: Bench, site: Site, hold: Hold, trial: Trial, run: Forked, release: Release) -> None:
    for pid in _waiting(bench, site, hold):
        _server(bench).administrate(f"SELECT pg_cancel_backend({pid})")
    # A run that tries again by itself needs the lock to be had at last.
    _wait_until(lambda: not run.is_running, seconds=1.0)
    release()
    bench.believe(run.wait(), site, trial, bench.reference.start)


def _server_stopped(bench: Bench, site: Site, hold: Hold, trial: Trial, run: Forked, release: Release) -> None:
    server = _server(bench).server
    server.stop("immediate")
    server.start()
    bench.believe(run.wait(), site, trial, bench.reference.start)


_INTERRUPTIONS: dict[str, Callable[[Bench, Site, Hold, Trial, Forked, Release], Forked | None]] = {
    "killed": _killed_and_released,
    "killed, still held": _killed_and_held,
    "killed twice": _killed_twice,
    "ended by the server": _ended_by_server,
    "cancelled by the server": _cancelled_by_server,
    "server stopped": _server_stopped,
}


# Inside


def _server(bench: Bench) -> PostgresqlGround:
    ground = bench.ground
    assert isinstance(ground, PostgresqlGround)
    return ground


@contextlib.contextmanager
def _paused(bench: Bench, site: Site, choice: Choice, trial: Trial) -> Iterator[Forked]:
    """A run that waits at a boundary for as long as the block lasts."""
    file = Path(site.folder) / f"{site.name}.pause"
    run = bench.start(site, boundaries=Boundaries(at=choice.at, act=Pause(file=file)))
    _wait_until(lambda: file.exists() or not run.is_running)
    trial.reached = file.exists()
    try:
        yield run
    finally:
        file.unlink(missing_ok=True)


def _down(ground: PostgresqlGround, how: str) -> None:
    if "crashed" in how:
        ground.server.crash()
    else:
        ground.server.stop("immediate")


def _waiting(bench: Bench, site: Site, hold: Hold | None = None) -> set[int]:
    """Server processes of runs that wait: in the hold's statement, or in any."""
    return {
        session.pid
        for session in _server(bench).sessions(site)
        if session.waits and (hold is None or hold.waits in session.statement)
    }


def _wait_until(condition: Callable[[], bool], *, seconds: float = _PATIENCE) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_BLINK)
    return True


def _plain_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}


def _each(how: Sequence[str]) -> Callable[[Bench, Random], list[Choice]]:
    def choices(bench: Bench, _: Random) -> list[Choice]:
        return [
            Choice(where=f"{line}, {each}", at=number, how=each)
            for number, line in enumerate(bench.reference.boundaries, 1)
            for each in how
        ]

    return choices


_BOTH: tuple[Dialect, ...] = ("sqlite", "postgresql")

KINDS: tuple[Kind, ...] = (
    Kind(name="killed, run again at once", databases=_BOTH, choices=_boundaries, crash=_kill),
    Kind(name="killed, looked at", databases=_BOTH, choices=_boundaries, crash=_kill_and_look, looks=True),
    Kind(name="killed twice", databases=_BOTH, choices=_pairs, crash=_kill_twice),
    Kind(name="killed, three come after it", databases=_BOTH, choices=_boundaries, crash=_kill_before_a_crowd),
    Kind(name="killed at any instant", databases=_BOTH, choices=_instants, crash=_kill_somewhere),
    Kind(name="killed between two statements", databases=("sqlite",), choices=_statements, crash=_kill_in_statement),
    Kind(name="killed, a real process", databases=_BOTH, choices=_boundaries, crash=_kill_process, few=True),
    Kind(
        name="killed while at work",
        databases=("postgresql",),
        choices=_holds("killed", "killed, still held", "killed twice"),
        crash=_interrupt_at_work,
        at_work=True,
    ),
    Kind(
        name="sessions ended by the server",
        databases=("postgresql",),
        choices=_each(("all", "oldest", "newest")),
        crash=_end_sessions,
    ),
    Kind(
        name="session ended while at work",
        databases=("postgresql",),
        choices=_holds("ended by the server", "cancelled by the server"),
        crash=_interrupt_at_work,
        at_work=True,
    ),
    Kind(
        name="server stopped",
        databases=("postgresql",),
        choices=_each(("stopped, started first", "stopped", "crashed, started first")),
        crash=_stop_server,
        few=True,
    ),
    Kind(
        name="server stopped while at work",
        databases=("postgresql",),
        choices=_holds("server stopped"),
        crash=_interrupt_at_work,
        at_work=True,
        few=True,
    ),
)
