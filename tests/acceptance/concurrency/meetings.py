"""What happens when processes meet: all at once, the owner killed, the owner frozen. Each answers what was wrong."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from tests.acceptance.concurrency.fleet import Process, wait_until
from tests.acceptance.concurrency.scenes import Scene
from tests.acceptance.crash.ground import PostgresqlGround

Meeting = Callable[[Scene, int], list[str]]
"""Takes a scene and the number of processes."""


def at_once(scene: Scene, count: int) -> list[str]:
    """All begin in the same moment: no errors, everything exactly once."""
    processes = scene.fleet.start_at_once(count)
    return [*_all_well(processes), *scene.faults(processes)]


def plainly(scene: Scene, count: int) -> list[str]:
    """All are started one after the other, as fast as that goes."""
    processes = [scene.fleet.start() for _ in range(count)]
    return [*_all_well(processes), *scene.faults(processes)]


def owner_killed(scene: Scene, count: int) -> list[str]:
    """Killed in the middle of a long statement, while the others wait: one takes over, all others end well."""
    processes = scene.fleet.start_at_once(count)
    owner = _owner_at_work(scene, processes)
    owner.signal(signal.SIGKILL)
    others = [process for process in processes if process is not owner]
    faults = [*_all_well(others), *scene.faults(processes)]
    if owner.wait() != -signal.SIGKILL:
        faults.append(f"the owner was not killed: it had ended with {owner.wait()}")
    if not any("Taken over from" in process.said for process in others):
        faults.append("nobody says that it took over")
    return faults


def owner_frozen_at_work(scene: Scene, count: int) -> list[str]:
    """Stopped in the middle of a long statement for longer than its lease holds, then woken again."""
    processes = scene.fleet.start_at_once(count)
    owner = _owner_at_work(scene, processes)
    return _frozen(scene, processes, owner, lambda: None)


def owner_frozen_between(scene: Scene, count: int) -> list[str]:
    """Stopped just before it sends a migration, for longer than its lease holds, then woken again: it does send it."""
    held = scene.fleet.hold(scene.boundary("before perform 0004_more"))
    others = scene.fleet.start_at_once(count - 1)
    return _frozen(scene, [held.process, *others], held.process, held.let_go)


def owner_frozen_in_an_index(scene: Scene, count: int) -> list[str]:
    """Stopped while the server builds an index for it, which a session of the application keeps from ending."""
    ground = scene.ground
    assert isinstance(ground, PostgresqlGround)
    processes = scene.fleet.start_at_once(count)
    owner = _owner_at_work(scene, processes)
    with ground.connect(scene.site) as application:
        application.execute("BEGIN")
        application.execute("LOCK TABLE seeds IN ROW EXCLUSIVE MODE")
        wait_until(lambda: any(each.waits and "CONCURRENTLY" in each.statement for each in ground.sessions(scene.site)))
        owner.signal(signal.SIGSTOP)
        wait_until(lambda: _owner(scene) not in (None, owner.pid))
    return _frozen(scene, processes, owner, lambda: None)


def owner_frozen_on_sqlite(scene: Scene, count: int) -> list[str]:
    """A frozen process keeps its lock on a file: the others say who it is and give up; woken, it goes on."""
    held = scene.fleet.hold(scene.boundary("before perform 0004_more"))
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


def _frozen(scene: Scene, processes: Sequence[Process], owner: Process, let_go: Callable[[], None]) -> list[str]:
    owner.signal(signal.SIGSTOP)
    others = [process for process in processes if process is not owner]
    faults = _all_well(others)
    before = scene.truth()
    let_go()
    owner.signal(signal.SIGCONT)
    code = owner.wait()
    error = owner.document.get("error", {})
    if code == 0 or error.get("code") != "lease_lost":
        faults.append(f"the woken owner ended with {code} and said: {owner.said}")
    if scene.truth() != before:
        faults.append("the woken owner changed something: " + "; ".join(scene.truth().differences(before)))
    return [*faults, *scene.faults(others)]


def _owner_at_work(scene: Scene, processes: Sequence[Process]) -> Process:
    """The process whose long statement is running now."""
    found: list[Process] = []

    def looked() -> bool:
        pid = _owner(scene)
        found[:] = [process for process in processes if process.pid == pid]
        return bool(found) and _in_the_long_statement(scene, found[0])

    wait_until(looked)
    return found[0]


def _owner(scene: Scene) -> int | None:
    """The process number of whoever holds the lease."""
    if isinstance(scene.ground, PostgresqlGround):
        made = scene.ground.ask(scene.site, "SELECT 1 FROM pg_class WHERE oid = to_regclass('bascule.lease')")
        rows = scene.ground.ask(scene.site, "SELECT owner FROM bascule.lease WHERE owner IS NOT NULL") if made else []
        return int(rows[0][0].rpartition(":")[2]) if rows else None
    for process in scene.fleet.processes:
        if process.is_running and "applying 0002_slow" in process.said:
            return process.pid
    return None


def _in_the_long_statement(scene: Scene, process: Process) -> bool:
    if isinstance(scene.ground, PostgresqlGround):
        return any(session.waits and "pg_sleep" in session.statement for session in scene.ground.sessions(scene.site))
    return "applying 0002_slow" in process.said and "applied 0002_slow" not in process.said and _burns(process.pid)


def _burns(pid: int) -> bool:
    """It is at work, not waiting."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "R"


def _all_well(processes: Sequence[Process]) -> list[str]:
    faults = []
    for process in processes:
        code = process.wait()
        if code != 0:
            faults.append(f"process {process.pid} ended with {code}: {process.said.strip()[-600:]}")
    return faults
