"""What the server costs: answers at a long history, many live streams, memory under load.

::

    python -m benchmarks.server [--migrations 10000] [--runs 100000] [--streams 200] [--minutes 10] [--only PART]

Parts: ``answers`` (median of status's default page and of health, one server on one processor; the bar is 20 ms),
``streams`` (that many followers of one run, each of which must hear every fact), ``memory`` (resident size while a few
clients ask without a pause; after the first minute it may grow by a tenth). The exit code is 1 where a bar was missed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

API = "/api/v1/migrations"
ANSWER_BAR = 20.0
"""Milliseconds."""
GROWTH_BAR = 1.10
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A process of `bascule serve`."""

    process: subprocess.Popen[str]
    port: int
    token: str

    def get(self, connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
        """One request on a connection that is kept."""
        connection.request("GET", f"{API}/{path}", headers={"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def connection(self) -> http.client.HTTPConnection:
        """A new one."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when no bar was missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.server", description=__doc__.partition("\n")[0])
    parser.add_argument("--migrations", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", choices=["answers", "streams", "memory"])
    given = parser.parse_args(arguments)
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bascule-server-") as home:
        folder = Path(home)
        if given.only in (None, "answers", "memory"):
            _history(folder / "long", given.migrations, given.runs)
            with _served(folder / "long") as server:
                if given.only != "memory":
                    missed += _answers(server)
                if given.only != "answers":
                    missed += _memory(server, given.minutes)
        if given.only in (None, "streams"):
            missed += _streams(folder / "short", given.streams)
    for words in missed:
        print(f"  MISSED: {words}")
    return 1 if missed else 0


def _bascule(folder: Path, *arguments: str) -> Any:
    command = [sys.executable, "-m", "bascule", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, env=_environment(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    return {**kept, "HOME": str(folder), "DATABASE_URL": "sqlite:///app.db"}


def _history(folder: Path, migrations: int, runs: int) -> None:
    """A folder of that many files, all applied; and so many more runs in the journal."""
    from bascule.databases.sqlite.target import SqliteTarget
    from bascule.domain.history import Fact

    (folder / "migrations").mkdir(parents=True)
    (folder / "bascule.toml").write_text("[server]\nreads = 100000000\nchanges = 1000\nfailures = 1000\n")
    for number in range(migrations):
        text = f"-- migrate:up\ncreate table t{number} (i integer);\n-- migrate:down\ndrop table t{number};\n"
        (folder / "migrations" / f"{number:06}_m.sql").write_text(text)
    begun = time.monotonic()
    _bascule(folder, "up", "--no-backup", "--no-validate", "-q")
    with closing(SqliteTarget(f"sqlite:///{folder / 'app.db'}")) as target:
        done = 0
        while done < runs:
            facts = []
            for number in range(done, min(done + 5000, runs)):
                run = f"old_{number}"
                facts += [
                    Fact(kind="run_started", run_id=run, migration="000001_m"),
                    Fact(kind="run_completed", run_id=run, migration="000001_m", data={"ms": number % 1000}),
                ]
            target.append(tuple(facts), durable=False)
            done += 5000
    print(f"{migrations:,} migrations and {runs:,} further runs, made in {time.monotonic() - begun:.0f} s")


@contextmanager
def _served(folder: Path) -> Iterator[Server]:
    token = _bascule(folder, "token", "create", "--role", "admin")["token"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bascule", "serve", "--port", "0"],
        cwd=folder,
        env=_environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        found = re.search(r":(\d+)/", process.stderr.readline())
        assert found
        # It logs each request; whoever does not read that makes it wait once the pipe is full.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        psutil.Process(process.pid).cpu_affinity([0])
        yield Server(process=process, port=int(found[1]), token=token)
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _answers(server: Server) -> list[str]:
    missed = []
    with closing(server.connection()) as connection:
        for path in ("status", "health", "metrics", "runs"):
            took = []
            for _ in range(205):
                begun = time.perf_counter()
                status, _body = server.get(connection, path)
                took.append((time.perf_counter() - begun) * 1000)
                assert status == 200
            first, rest = took[0], took[5:]
            median = statistics.median(rest)
            print(f"  GET /{path:<8} first {first:7.1f} ms, median {median:6.2f} ms, worst {max(rest):6.1f} ms")
            if path in ("status", "health") and median > ANSWER_BAR:
                missed.append(f"/{path}: {median:.1f} ms (bar {ANSWER_BAR:g})")
    return missed


def _memory(server: Server, minutes: float) -> list[str]:
    process, over = psutil.Process(server.process.pid), threading.Event()
    asked = [0]

    def load() -> None:
        with closing(server.connection()) as connection:
            while not over.is_set():
                for path in ("status?limit=20", "health", "runs?limit=20", "logs?limit=50", "alerts", "metrics"):
                    server.get(connection, path)
                    asked[0] += 1

    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    sizes, end = [], time.monotonic() + minutes * 60
    while time.monotonic() < end:
        time.sleep(min(10.0, minutes * 6))
        sizes.append(process.memory_info().rss / 2**20)
    over.set()
    for thread in threads:
        thread.join(_PATIENCE)
    settled = sizes[max(1, len(sizes) // 10) :]
    growth = settled[-1] / settled[0]
    print(
        f"  {asked[0]:,} requests in {minutes:g} min: {settled[0]:.0f} MiB, at the end {settled[-1]:.0f} ({growth:.3f})"
    )
    return [] if growth <= GROWTH_BAR else [f"memory grew to {growth:.2f} times"]


def _streams(folder: Path, count: int) -> list[str]:
    (folder / "migrations").mkdir(parents=True)
    steps = "\n".join(f"create table s{number} (i integer);" for number in range(40))
    slow = (
        "insert into slow select count(*) from (with recursive n(i) as (select 1 union all select i + 1 from n "
        "where i < 1500000) select i from n);"
    )
    text = f"-- migrate:up\ncreate table slow (i integer);\n{steps}\n{slow * 6}\n-- migrate:down\ndrop table slow;\n"
    (folder / "migrations" / "1_slow.sql").write_text(text)
    with _served(folder) as server:
        with closing(server.connection()) as connection:
            headers = {
                "Authorization": f"Bearer {server.token}",
                "Content-Type": "application/json",
                "Prefer": "respond-async",
            }
            body = json.dumps({"migrationName": "1_slow", "createBackup": False, "validateBefore": False})
            connection.request("POST", f"{API}/execute", body, headers)
            run = json.loads(connection.getresponse().read())["data"]["id"]
        heard: list[tuple[int, ...]] = []
        begun = time.monotonic()

        def follow() -> None:
            with closing(server.connection()) as connection:
                headers = {"Authorization": f"Bearer {server.token}"}
                connection.request("GET", f"{API}/runs/{run}/events", headers=headers)
                numbers = []
                answer = connection.getresponse()
                while line := answer.readline():
                    if line.startswith(b"id: "):
                        numbers.append(int(line[4:]))
                    if line.startswith(b"event: end"):
                        break
                heard.append(tuple(numbers))

        threads = [threading.Thread(target=follow) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_PATIENCE)
        facts = [each["number"] for each in _bascule(folder, "logs", "--limit", "0") if each["run"] == run]
    whole = sum(each == tuple(facts) for each in heard)
    print(f"  {count} streams, {len(facts)} facts each, {time.monotonic() - begun:.1f} s: {whole} heard all of it")
    return [] if whole == count else [f"{count - whole} of {count} streams lost an event"]


if __name__ == "__main__":
    sys.exit(main())
