"""What happens when processes meet: all at once, the owner killed, the owner frozen. Each answers what was wrong."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.acceptance.concurrency.fleet import Process, wait_until
from tests.acceptance.concurrency.histories import AT_THE_GATE, CLOSE_GATE, OPEN_GATE, Kind
from tests.acceptance.concurrency.scenes import WAYS, Scene, Way
from tests.acceptance.crash.ground import PostgresqlGround

# All begin


def at_once(scene: Scene, count: int) -> list[str]:
    """All begin in the same moment: no errors, everything exactly once."""
    return _all_begin(scene, scene.fleet.start_at_once(count))


def plainly(scene: Scene, count: int) -> list[str]:
    """All are started one after the other, as fast as that goes."""
    return _all_begin(scene, [scene.fleet.start() for _ in range(count)])


def _all_begin(scene: Scene, processes: Sequence[Process]) -> list[str]:
    faults = [*_all_well(processes), *scene.faults(processes)]
    told = sorted(name for process in processes for name in process.applied)
    if told != sorted(scene.end.ledger):
        faults.append(f"the processes say that they ran {told}")
    return faults


# The owner killed


def owner_killed(scene: Scene, count: int) -> list[str]:
    """Killed inside a transaction while the others wait: one takes over, all others end well.

    On PostgreSQL the server stays at work for the dead one until it is taken over from.
    """
    owner = _in_a_transaction(scene)
    others = _waiting(scene, count - 1)
    owner.signal(signal.SIGKILL)
    _open_when_taken_over(scene, owner)
    faults = [*_all_well(others), *scene.faults(others)]
    if owner.wait() != -signal.SIGKILL:
        faults.append(f"the owner was not killed: it had ended with {owner.wait()}")
    if not any("Taken over from" in process.said for process in others):
        faults.append("nobody says that it took over")
    return faults


# The owner frozen past its lease, and woken


def owner_frozen_at_work(scene: Scene, count: int) -> list[str]:
    """While the server is at work for it inside a transaction, which has not ended when another takes over."""
    owner = _in_a_transaction(scene)
    others = _waiting(scene, count - 1)
    owner.signal(signal.SIGSTOP)
    _open_when_taken_over(scene, owner)
    return _woken(scene, owner, others)


def owner_frozen_while_the_server_commits(scene: Scene, count: int) -> list[str]:
    """While the server is at work for it; the server finishes, and commits, before another takes over."""
    owner = _in_a_transaction(scene)
    others = _waiting(scene, count - 1)
    owner.signal(signal.SIGSTOP)
    scene.ground.ask(scene.site, OPEN_GATE)
    return _woken(scene, owner, others)


def owner_frozen_between_statements(scene: Scene, count: int) -> list[str]:
    """Inside a transaction, after some of its statements; woken, it goes on to the ledger's row and COMMIT."""
    return _frozen_at(scene, scene.boundary("perform_with 0002_middle up with the ledger, after the function"), count)


def owner_frozen_before_it_sends(scene: Scene, count: int) -> list[str]:
    """Just before it sends a migration; woken, it does send it."""
    return _frozen_at(scene, scene.boundary("before perform 0004_more"), count)


def owner_frozen_in_an_index(scene: Scene, count: int) -> list[str]:
    """While the server builds an index for it, which a session of the application keeps from ending."""
    ground = _postgresql(scene)
    scene.ground.ask(scene.site, CLOSE_GATE)
    owner = scene.fleet.start()
    wait_until(lambda: _at_the_gate(scene))
    with ground.connect(scene.site) as application:
        application.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        # The snapshot is what the build has to wait for.
        application.execute("SELECT count(*) FROM pg_class")
        scene.ground.ask(scene.site, OPEN_GATE)
        wait_until(lambda: any(each.waits and "CONCURRENTLY" in each.statement for each in ground.sessions(scene.site)))
        others = _waiting(scene, count - 1)
        owner.signal(signal.SIGSTOP)
        wait_until(lambda: _owner(scene) not in (None, owner.pid))
    return _woken(scene, owner, others)


def owner_frozen_on_sqlite(scene: Scene, count: int) -> list[str]:
    """A frozen process keeps its lock on a file: the others say who it is and give up; woken, it goes on."""
    held = scene.fleet.hold(_in_the_middle(scene))
    held.process.signal(signal.SIGSTOP)
    others = [scene.fleet.start("up", "--lock-wait", "0.5") for _ in range(count - 1)]
    faults = [
        f"process {process.pid} ended with {process.wait()}: {process.said}"
        for process in others
        if process.wait() != 4 or f":{held.process.pid}" not in process.said
    ]
    held.let_go()
    held.process.signal(signal.SIGCONT)
    return [*faults, *_all_well([held.process]), *scene.faults([held.process])]


def _frozen_at(scene: Scene, boundary: str, count: int) -> list[str]:
    held = scene.fleet.hold(boundary)
    others = _waiting(scene, count - 1)
    held.process.signal(signal.SIGSTOP)
    faults = _all_well(others)
    held.let_go()
    return [*faults, *_woken(scene, held.process, others)]


def _woken(scene: Scene, owner: Process, others: Sequence[Process]) -> list[str]:
    """The others do everything; then the owner goes on, is refused, and changes nothing."""
    faults = _all_well(others)
    before = scene.truth()
    owner.signal(signal.SIGCONT)
    code = owner.wait()
    if code != 1 or owner.document.get("error", {}).get("code") != "lease_lost":
        faults.append(f"the woken owner ended with {code} and said: {owner.said}")
    after = scene.truth()
    if after != before:
        faults.append("the woken owner changed something: " + "; ".join(after.differences(before)))
    if not any("Taken over from" in process.said for process in others):
        faults.append("nobody says that it took over")
    return [*faults, *scene.faults(others)]


# What they have in common


def _in_a_transaction(scene: Scene) -> Process:
    """The owner, in the middle of a transaction. On PostgreSQL it stays there until the gate is opened."""
    if not isinstance(scene.ground, PostgresqlGround):
        return scene.fleet.hold(_in_the_middle(scene)).process
    scene.ground.ask(scene.site, CLOSE_GATE)
    owner = scene.fleet.start()
    wait_until(lambda: _at_the_gate(scene))
    return owner


def _in_the_middle(scene: Scene) -> str:
    """Where SQLite has run one statement of a transaction and not the next."""
    return scene.boundary("INSERT INTO seeds VALUES ('middle', 2)")


def _waiting(scene: Scene, count: int) -> list[Process]:
    """So many processes that wait for the owner."""
    processes = scene.fleet.start_at_once(count)
    wait_until(lambda: all("Waiting for" in process.said or not process.is_running for process in processes))
    return processes


def _open_when_taken_over(scene: Scene, owner: Process) -> None:
    """Whoever takes over comes to the gate too; until then the server is at work for the old one."""
    if isinstance(scene.ground, PostgresqlGround):
        wait_until(lambda: _owner(scene) not in (None, owner.pid))
        scene.ground.ask(scene.site, OPEN_GATE)


def _owner(scene: Scene) -> int | None:
    """The process number of whoever holds the lease of a database in which Bascule has been."""
    rows = scene.ground.ask(scene.site, "SELECT owner FROM bascule.lease WHERE owner IS NOT NULL")
    return int(rows[0][0].rpartition(":")[2]) if rows else None


def _at_the_gate(scene: Scene) -> bool:
    return any(AT_THE_GATE in session.statement for session in _postgresql(scene).sessions(scene.site))


def _postgresql(scene: Scene) -> PostgresqlGround:
    assert isinstance(scene.ground, PostgresqlGround), "only a server can do that"
    return scene.ground


def _all_well(processes: Sequence[Process]) -> list[str]:
    faults = []
    for process in processes:
        code = process.wait()
        if code != 0:
            faults.append(f"process {process.pid} ended with {code}: {process.said.strip()[-600:]}")
    return faults


# By what they are called


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One of them, and where it can be."""

    run: Callable[[Scene, int], list[str]]
    """Takes a scene and the number of processes."""
    ways: tuple[Way, ...] = WAYS[1:]
    kind: Kind = "SQL"


MEETINGS: Mapping[str, Meeting] = {
    "all begin in one moment": Meeting(run=at_once, ways=WAYS),
    "all are started plainly": Meeting(run=plainly, ways=WAYS),
    "owner killed in a transaction": Meeting(run=owner_killed, ways=WAYS),
    "owner frozen, server at work": Meeting(run=owner_frozen_at_work),
    "owner frozen, server commits": Meeting(run=owner_frozen_while_the_server_commits),
    "owner frozen between statements": Meeting(run=owner_frozen_between_statements, kind="Python"),
    "owner frozen before it sends": Meeting(run=owner_frozen_before_it_sends),
    "owner frozen in an index": Meeting(run=owner_frozen_in_an_index),
    "owner frozen": Meeting(run=owner_frozen_on_sqlite, ways=WAYS[:1]),
}
