"""What it costs to tell OpenTelemetry of a run: the same migrations with and without, side by side.

::

    python -m benchmarks.tracing [--database postgresql|sqlite] [--count 300] [--rounds 5] [--postgres BIN_DIR]

A receiver on loopback, in a process of its own, takes the traces and metrics. Two figures: how long the migrations
themselves take (from the first ledger row to the last), which tracing may slow down by 1.02 at most; and the whole
process, which at its end loads OpenTelemetry once, makes the spans and sends them. The exit code is 1 where the bar was
missed or the receiver got no spans.

A third run in each round is without tracing again: how far that is from the first is what the machine does by itself,
and the bar is wider by so much. On a busy machine that says little: give it more rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.server
import multiprocessing
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import bascule as bascule_itself
from benchmarks.contenders import BASCULE, Contender, bascule
from benchmarks.many import small_migrations
from benchmarks.places import PostgresPlace, SqlitePlace
from benchmarks.rounds import Results, take_turns
from benchmarks.timing import spread, table

BAR = 1.02
TRACED = "bascule up, traced"
AGAIN = "bascule up again"
_SPANS = {
    "postgresql": "SELECT extract(epoch FROM max(applied_at) - min(applied_at)) FROM bascule.ledger",
    "sqlite": "SELECT (julianday(max(applied_at)) - julianday(min(applied_at))) * 86400 FROM bascule_ledger",
}


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when no bar was missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.tracing", description=__doc__.partition("\n")[0])
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--postgres", metavar="BIN_DIR", help="folder of the server's programs")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bascule-tracing-")))
        place: PostgresPlace | SqlitePlace
        if given.database == "postgresql":
            place = stack.enter_context(PostgresPlace(given.postgres))
        else:
            place = SqlitePlace(home / "databases")
        port, taken = _receiver(stack)
        plain = bascule(place.dialect, small_migrations(given.count), home)
        results = take_turns(
            place,
            [_here(plain, {}), _here(plain, _told(port), name=TRACED), _here(plain, {}, name=AGAIN)],
            rounds=given.rounds,
            count=given.count,
            database=place.fresh,
            label="run",
        )
        return _judge(place, results, taken.value)


def _told(port: int) -> dict[str, str]:
    return {"MIGRATION_OTEL": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}


def _here(plain: Contender, environment: Mapping[str, str], name: str = BASCULE) -> Contender:
    """Of this checkout, wherever the environment's own Bascule stands."""
    own = {"PYTHONPATH": str(Path(bascule_itself.__file__ or "").parents[1]), **environment}
    return dataclasses.replace(plain, name=name, environment=lambda _: own)


def _judge(place: PostgresPlace | SqlitePlace, results: Results, taken: int) -> int:
    lasted = {
        name: [float(str(place.query(url, _SPANS[place.dialect])[0][0])) for url in urls]
        for name, urls in results.urls.items()
    }
    rows = [["", "migrations s", "process s", "client CPU s"]]
    for name, runs in results.runs.items():
        wall, cpu = (spread(each) for each in zip(*((run.wall, run.cpu) for run in runs), strict=True))
        rows.append([name, f"{spread(lasted[name]).median:.3f}", f"{wall.median:.3f}", f"{cpu.median:.3f}"])
    print(f"{results.count} migrations on {place.dialect}")
    print(table(rows))
    ratio, noise = (
        spread([mine / its for mine, its in zip(lasted[name], lasted[BASCULE], strict=True)]).median
        for name in (TRACED, AGAIN)
    )
    more = spread(
        [mine.wall - its.wall for mine, its in zip(results.runs[TRACED], results.runs[BASCULE], strict=True)]
    ).median
    print(f"The migrations take {ratio:.3f} times as long, and {noise:.3f} times without tracing again.")
    print(f"The process takes {more * 1000:+.0f} ms.")
    print(f"{taken} bytes of spans and metrics were received.")
    missed = ratio > BAR * max(noise, 1 / noise) or not taken
    print(f"MISSED: at most {BAR:.2f}" if missed else "No bar was missed.")
    return 1 if missed else 0


def _receiver(stack: ExitStack) -> tuple[int, Synchronized[int]]:
    context = multiprocessing.get_context("fork")
    taken = context.Value("q", 0)
    port = context.Value("i", 0)
    ready = context.Event()
    process = context.Process(target=_receive, args=(port, taken, ready), daemon=True)
    process.start()
    stack.callback(process.terminate)
    ready.wait(10)
    return port.value, taken


def _receive(port: Synchronized[int], taken: Synchronized[int], ready: object) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.value += len(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.value = server.server_port
    ready.set()  # type: ignore[attr-defined]
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
