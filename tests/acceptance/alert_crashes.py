"""The alerts campaign: processes are killed with kill -9 while alerts are made, kept as files and told to a receiver.

    python -m tests.acceptance.alert_crashes [--database sqlite|postgresql] [--by command|server] [--kills N] [--seed N]

The journal is the measure: it is written with the runs themselves. After the last recovery each failure in it counts
in one alert, each alert is one file that says the same, and a receiver who knows the ids of messages was told of each
beginning and each end once. Ends with 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bascule import wiring
from bascule.config.load import load
from bascule.domain.alert import Alert
from bascule.domain.history import Fact
from bascule.state import alerts as state
from bascule.testing import PostgresServer
from tests.acceptance.commandline import Project
from tests.acceptance.receiver import Receiver, receiving
from tests.acceptance.server.served import Server, served, token

_FAILURES = ("run_failed", "run_interrupted")
_SOON = 0.05
_QUIET = 60.0
"""Seconds after which a server that has nothing to do must have told everything."""


@dataclass(slots=True, kw_only=True)
class Scene:
    """A project whose alerts go to a folder and a receiver."""

    project: Project
    receiver: Receiver
    random: Random
    kills: Counter[str] = field(default_factory=Counter)
    length: float = 1.0
    """Seconds that a run takes."""

    def write(self, number: int, *, good: bool) -> str:
        name = f"{20240101000000 + number}_m{number}"
        self.project.write(name, f"create table t{number} (id integer);" if good else "insert into nowhere values (1);")
        return name

    def measure(self) -> None:
        """How long a run takes here, and that all of it works unkilled."""
        self.write(0, good=True)
        begun = time.monotonic()
        self.project.well("up")
        self.length = time.monotonic() - begun


@contextmanager
def scene(folder: Path, url: str, seed: int) -> Iterator[Scene]:
    """In that folder, on that database."""
    with receiving() as receiver:
        project = Project(
            folder,
            DATABASE_URL=url,
            MIGRATION_ALERTS_DIR="told",
            BASCULE_WEBHOOK_SECRET="0123456789" * 3,
            BASCULE_SECRET_KEY="a secret of thirty-two bytes, or more",
            BASCULE_AUDIT_DIR=str(folder / "heads"),
        )
        hook = f'[alerts]\nmost = 1000000\nfailures = 100000\n[[webhooks]]\nurl = "{receiver.url}"\n'
        (folder / "bascule.toml").write_text(hook, encoding="utf-8")
        made = Scene(project=project, receiver=receiver, random=Random(seed))
        made.measure()
        yield made


def by_command(scene: Scene, kills: int) -> None:
    """`bascule up` is killed as it fails, again and again, and as it goes well; then it is run to its end."""
    number = 0
    while scene.kills.total() < kills:
        number += 1
        scene.write(number, good=False)
        for _ in range(scene.random.randint(1, 3)):
            _kill_command(scene)
        scene.project.run("up")
        scene.write(number, good=True)
        _kill_command(scene)
        scene.project.well("up")


def _kill_command(scene: Scene) -> None:
    scene.receiver.came.clear()
    process = scene.project.start("up")
    if scene.random.random() < 0.4:
        what = "while it tells"
        scene.receiver.came.wait(2 * scene.length)
        time.sleep(scene.random.uniform(0, _SOON))
    else:
        what = "at some moment"
        time.sleep(scene.random.uniform(0.3, 1.2) * scene.length)
    if process.poll() is None:
        scene.kills[what] += 1
        process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


def by_server(scene: Scene, kills: int) -> None:
    """A server, its worker or both are killed after somebody has asked for a run, which is then run to its end."""
    admin = token(scene.project, "admin")
    number = 0
    while scene.kills.total() < kills:
        number += 1
        name = scene.write(number, good=False)
        _ask_and_kill(scene, name, admin)
        scene.project.run("up", "--lock-wait", "60")
        scene.write(number, good=True)
        _ask_and_kill(scene, name, admin)
        scene.project.well("up", "--lock-wait", "60")


def _ask_and_kill(scene: Scene, name: str, admin: str) -> None:
    scene.receiver.came.clear()
    with served(scene.project) as server:
        server.post("execute", {"migrationName": name}, admin, Prefer="respond-async")
        if scene.random.random() < 0.4:
            scene.receiver.came.wait(8)
            time.sleep(scene.random.uniform(0, _SOON))
        else:
            time.sleep(scene.random.uniform(0, 2 * scene.length))
        whom = scene.random.choice(("server", "worker", "both"))
        _kill(server, whom)
        scene.kills[whom] += 1


def _kill(server: Server, whom: str) -> None:
    workers = _children(server.process.pid)
    if whom in ("server", "both"):
        server.kill()
    for worker in workers if whom in ("worker", "both") else ():
        try:
            os.kill(worker, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _children(parent: int) -> list[int]:
    """Of a process of this campaign."""
    found = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(each) for each in found.read_text().split()] if found.exists() else []


def settle(scene: Scene) -> list[str]:
    """Whoever comes after the last crash: what it finds wrong when it is done."""
    _let_claims_run_out(scene)
    for _ in range(2):
        scene.project.well("alerts", "check")
    return wrong(scene)


def settle_by_server(scene: Scene) -> list[str]:
    """The same by a server, left alone."""
    _let_claims_run_out(scene)
    until = time.monotonic() + _QUIET
    with served(scene.project):
        while (found := wrong(scene)) and time.monotonic() < until:
            time.sleep(1.0)
    return found


def wrong(scene: Scene) -> list[str]:
    """What contradicts the journal, in words; empty: nothing was lost, and nothing is there twice."""
    facts, alerts = _kept(scene)
    return [*_in_the_table(facts, alerts), *_in_the_folder(scene, alerts), *_at_the_receiver(scene, alerts)]


def _in_the_table(facts: Sequence[Fact], alerts: Sequence[Alert]) -> Iterator[str]:
    happened = Counter((fact.kind, fact.migration) for fact in facts)
    counted: Counter[tuple[str, str]] = Counter()
    for alert in alerts:
        if alert.rule in _FAILURES:
            counted[alert.rule, alert.migration] += alert.occurrences
    for each in sorted(happened.keys() | counted.keys()):
        if happened[each] != counted[each]:
            yield f"{each[0]} of {each[1]}: {happened[each]} in the journal, {counted[each]} in alerts"


def _in_the_folder(scene: Scene, alerts: Sequence[Alert]) -> Iterator[str]:
    folder = scene.project.folder / "told"
    files = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")} if folder.exists() else {}
    expected = {alert.id: json.loads(json.dumps(alert.as_dict(), default=str)) for alert in alerts}
    for each in sorted(files.keys() ^ expected.keys()):
        yield f"alert {each} is {'a file and no row' if each in files else 'a row and no file'}"
    for each in sorted(files.keys() & expected.keys()):
        if files[each] != expected[each]:
            yield f"the file of {each} says something else than its row"


def _at_the_receiver(scene: Scene, alerts: Sequence[Alert]) -> Iterator[str]:
    messages: dict[str, bytes] = {}
    for each in list(scene.receiver.told):
        its_id = each.headers["webhook-id"]
        if messages.setdefault(its_id, each.body) != each.body:
            yield f"message {its_id} came with two contents"
    told = Counter((said["type"], said["data"]["id"]) for said in map(json.loads, messages.values()))
    expected = Counter(("migration.alert_created", alert.id) for alert in alerts)
    expected += Counter(("migration.alert_resolved", alert.id) for alert in alerts if alert.resolved_at is not None)
    for kind, its_id in sorted(told.keys() | expected.keys()):
        if told[kind, its_id] != expected[kind, its_id]:
            yield f"{kind} of {its_id}: {told[kind, its_id]} messages where {expected[kind, its_id]} are right"


def _kept(scene: Scene) -> tuple[Sequence[Fact], Sequence[Alert]]:
    settings = load(environ=scene.project.environment, folder=scene.project.folder)
    with closing(wiring.open_target(settings)) as target:
        facts = [fact for fact in target.journal(kinds=_FAILURES) if fact.direction == "up"]
        with closing(target.state()) as door:
            return facts, state.newest(door, acknowledged=True, resolved=True, limit=0)


def _let_claims_run_out(scene: Scene) -> None:
    """As two minutes do."""
    settings = load(environ=scene.project.environment, folder=scene.project.folder)
    with closing(wiring.open_target(settings)) as target, closing(target.state()) as door:
        door.write("UPDATE @delivery SET next_at = made_at WHERE ended_at IS NULL")


def campaign(scene: Scene, by: str, kills: int) -> list[str]:
    """Kill so often, recover, and say what is wrong."""
    if by == "server":
        by_server(scene, kills)
        return settle_by_server(scene)
    by_command(scene, kills)
    return settle(scene)


def main(arguments: Sequence[str] | None = None, say: Callable[[str], None] = print) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--by", choices=("command", "server"), action="append")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    faults = 0
    with ExitStack() as stack:
        for database in chosen.database or ("sqlite", "postgresql"):
            server = stack.enter_context(PostgresServer()) if database == "postgresql" else None
            for by in chosen.by or ("command", "server"):
                url = "sqlite:///app.db" if server is None else server.create_database(f"alerts_{by}")
                with tempfile.TemporaryDirectory() as folder, scene(Path(folder), url, chosen.seed) as made:
                    found = campaign(made, by, chosen.kills)
                    _, alerts = _kept(made)
                    twice = len(made.receiver.told) - len({e.headers["webhook-id"] for e in made.receiver.told})
                    say(
                        f"{database}, {by}: {dict(made.kills)} kills, {len(alerts)} alerts, "
                        f"{len(made.receiver.told)} messages ({twice} sent again under their id), {len(found)} wrong"
                    )
                for words in found:
                    say(f"  {words}")
                faults += len(found)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
