"""Run a real history: every migration up, each one down again on a clone, and the whole chain back and forth.

::

    python -m benchmarks.histories FOLDER [--postgres BIN_DIR | --sqlite] [--expect FILE] [--no-chain] [--prepare FILE]

FOLDER is a migrations folder in any format that Bascule reads (crates.io's `migrations`, openmeter's
`tools/migrate/migrations`, vaultwarden's `migrations/sqlite`). `--expect` names a JSON file with a plain runner's
verdicts
(``{"rows": [{"name", "down": "exact|order|diff|noop-exact|noop-diff|error"}]}``); every disagreement is printed and
makes the
command fail. A way back that Bascule has mended counts as the difference that it was. `--prepare`
names a SQL file run on the empty database first: what the history expects around it.

Each lossy, failing or missing way back is named with the differences in words.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bascule import Bascule, BasculeError

_SETTINGS: Mapping[str, Any] = {"backup.enabled": False}
"""The tables are empty, and a plain runner takes none."""
AGREES = {
    "exact": {"exact"},
    "order": {"column_order"},
    "diff": {"lossy", "cosmetic"},
    "noop-exact": {"exact", "none"},
    "noop-diff": {"none"},
    "error": {"error"},
}
"""What Bascule may say where the plain runner said that. The runner looks at the schema alone and knows no class for
generated names; a way back of comments only, after an up that changed rows, is ``none`` to Bascule and ``noop-exact``
to it."""


class Place(Protocol):
    """Where databases are made, cloned and dropped."""

    def empty(self, name: str) -> str:
        """URL of a new database."""

    def clone(self, url: str, name: str) -> str:
        """URL of a copy."""

    def drop(self, name: str) -> None:
        """Away with it."""


@dataclass(slots=True, kw_only=True)
class Result:
    """What happened to one migration."""

    name: str
    up_ms: int
    verdict: str
    words: tuple[str, ...] = ()
    mends: tuple[str, ...] = ()
    """What was made right beyond the author's down script, which is all that a plain runner has."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What happened to all of them."""

    results: list[Result] = field(default_factory=list)
    up_seconds: float = 0.0

    def counts(self) -> Counter[str]:
        """How many of each verdict."""
        return Counter(each.verdict for each in self.results)


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 when everything applied and agrees."""
    options = _parser().parse_args(arguments)
    with _place(options) as place:
        tally = _stepwise(options.folder, place, options.prepare)
        _print(tally)
        wrong = _disagreements(tally, options.expect) if options.expect else []
        for words in wrong:
            print(f"DISAGREES  {words}")
        if not options.no_chain:
            _chain(options.folder, place, options.prepare, len(tally.results))
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.histories", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--postgres", type=Path, help="bin folder of a PostgreSQL; default: the newest that is found")
    parser.add_argument("--sqlite", action="store_true", help="run on SQLite instead")
    parser.add_argument("--expect", type=Path)
    parser.add_argument("--prepare", type=Path)
    parser.add_argument("--no-chain", action="store_true")
    return parser


def _stepwise(folder: Path, place: Place, prepare: Path | None) -> Tally:
    """Each migration up, then down on a clone of the state right after it."""
    url = place.empty("history")
    _prepare(url, prepare)
    main_line = Bascule(url=url, migrations_dir=folder, say=_silent, **_SETTINGS)
    names = main_line.migrations.status().pending
    tally = Tally()
    for number, name in enumerate(names):
        begun = time.perf_counter()
        main_line.migrations.execute_migration(name, accept_data_loss=True)
        took = time.perf_counter() - begun
        tally.up_seconds += took
        copy = place.clone(url, "clone")
        verdict, words, mends = _down(Bascule(url=copy, migrations_dir=folder, say=_silent, **_SETTINGS), name)
        place.drop("clone")
        tally.results.append(Result(name=name, up_ms=round(took * 1000), verdict=verdict, words=words, mends=mends))
        if sys.stderr.isatty():
            print(f"\r{number + 1} of {len(names)}  {name[:70]:<70}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return tally


def _down(bascule: Bascule, name: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    try:
        run = bascule.migrations.rollback_migration(name, accept_data_loss=True)
    except BasculeError as error:
        return "error", tuple(error.message.splitlines()), ()
    # The plain runner looks at the schema alone.
    mends = tuple(note for note in run.notes if note.startswith("mended:") and not note.startswith("mended: rows of"))
    return run.extra.get("schemaVerdict", run.verdict) or "unverified", run.differences, mends


def _chain(folder: Path, place: Place, prepare: Path | None, total: int) -> None:
    """All up at once, all down from the newest, all up again: how far it goes, and how long it takes."""
    url = place.empty("chain")
    _prepare(url, prepare)
    service = Bascule(url=url, migrations_dir=folder, say=_silent, **_SETTINGS).migrations

    def up() -> int:
        return len(service.execute_pending(accept_data_loss=True).runs)

    def one_down() -> int:
        return len(service.rollback(steps=1, accept_data_loss=True).runs)

    _leg("chain up", total, up)
    if _leg("chain down", total, one_down):
        _leg("chain up", total, up)


def _leg(title: str, total: int, act: Callable[[], int]) -> bool:
    """Act until nothing is left or it fails; answers whether all of it went."""
    begun, count, stopped = time.perf_counter(), 0, ""
    try:
        while count < total and (done := act()):
            count += done
    except BasculeError as error:
        stopped = "stopped: " + " ".join(error.message.split())[:300]
    print(f"{title:<11}{count:>4} of {total}  {time.perf_counter() - begun:6.1f} s  {stopped}".rstrip())
    return count == total


def _print(tally: Tally) -> None:
    for result in tally.results:
        if result.verdict != "exact" or result.mends:
            print(f"{result.verdict:<13} {result.name}")
            for words in (*result.mends, *result.words)[:12]:
                print(f"              {words}")
    counts = "  ".join(f"{verdict} {count}" for verdict, count in sorted(tally.counts().items()))
    mended = sum(1 for result in tally.results if result.mends)
    if mended:
        counts += f"; {mended} of them after mending what the down script forgot"
    print(f"applied {len(tally.results)} in {tally.up_seconds:.1f} s; ways back: {counts}")


def _disagreements(tally: Tally, expect: Path) -> list[str]:
    expected = {row["name"]: row["down"] for row in json.loads(expect.read_text(encoding="utf-8"))["rows"]}
    wrong, compared = [], 0
    for result in tally.results:
        said = expected.get(result.name)
        if said is None:
            continue
        compared += 1
        # What was mended was different before, as the plain runner says.
        agrees = said in ("diff", "noop-diff") if result.mends else result.verdict in AGREES.get(said, {said})
        if not agrees:
            wrong.append(f"{result.name}: {result.verdict}, the plain runner says {said}")
    print(f"compared with the plain runner: {compared} of {len(tally.results)}, {len(wrong)} disagree")
    return wrong


def _prepare(url: str, script: Path | None) -> None:
    if script is None:
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.read_bytes())


def _silent(_words: str) -> None:
    """The report says it all."""


@contextmanager
def _place(options: argparse.Namespace) -> Iterator[Place]:
    if options.sqlite:
        with tempfile.TemporaryDirectory(prefix="bascule-history-") as folder:
            yield SqliteFiles(Path(folder))
        return
    from bascule.testing.postgres import PostgresServer

    with PostgresServer(options.postgres) as server:
        yield Databases(server)


class Databases:
    """Databases of a throw-away server."""

    def __init__(self, server: object) -> None:
        from bascule.testing.postgres import PostgresServer

        assert isinstance(server, PostgresServer)
        self._server = server

    def empty(self, name: str) -> str:
        """URL of a new database."""
        return self._server.create_database(name)

    def clone(self, url: str, name: str) -> str:
        """URL of a copy."""
        return self._server.create_database(name, template=url.rsplit("/", 1)[1].split("?")[0])

    def drop(self, name: str) -> None:
        """Away with it."""
        self._server.drop_database(name)


class SqliteFiles:
    """Files in a temporary folder; a copy takes the sidecar along."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def empty(self, name: str) -> str:
        """URL of a new database."""
        return f"sqlite:///{self._folder / name}.db"

    def clone(self, url: str, name: str) -> str:
        """URL of a copy."""
        source = Path(url.removeprefix("sqlite:///"))
        for suffix in ("", ".bascule", ".bascule-wal"):
            if (file := Path(f"{source}{suffix}")).exists():
                shutil.copyfile(file, f"{self._folder / name}.db{suffix}")
        return self.empty(name)

    def drop(self, name: str) -> None:
        """Away with it."""
        for file in self._folder.glob(f"{name}.db*"):
            file.unlink()


if __name__ == "__main__":
    sys.exit(main())
