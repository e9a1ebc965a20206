"""The crash campaign: every history, crashed in every way, at every place.

    python -m tests.acceptance.crash.campaign [--database sqlite|postgresql] [--full] [--seed N]

Without ``--full`` a sample of the crashes of each kind is taken; the same seed takes the same. Ends with 1 when
anything was wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bascule.domain.statement import Dialect
from bascule.testing import PgBouncer, PostgresServer
from bascule.testing.crash import warm_up
from tests.acceptance.crash.backup_histories import HISTORIES as OF_BACKUPS
from tests.acceptance.crash.bench import Bench, Fault, Trial
from tests.acceptance.crash.ground import Ground, PostgresqlGround, SqliteGround
from tests.acceptance.crash.histories import NOT_MET, History
from tests.acceptance.crash.kinds import KINDS, Choice, Kind, perform
from tests.acceptance.crash.postgresql_histories import HISTORIES as ON_POSTGRESQL
from tests.acceptance.crash.sqlite_histories import HISTORIES as ON_SQLITE

HISTORIES: tuple[History, ...] = (*ON_SQLITE, *ON_POSTGRESQL, *OF_BACKUPS)
SAMPLE = 12
"""Crashes of each kind for each history, where not all of them are wanted."""
_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30
"""Bytes that have to be free in memory for the databases to be kept there, where making one costs a tenth."""


@dataclass(slots=True, kw_only=True)
class Row:
    """What came of one kind of crash in one history."""

    database: Dialect
    history: str
    kind: str
    trials: list[Trial] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def faults(self) -> Counter[Fault]:
        """How often each fault was found."""
        return Counter(wrong.fault for trial in self.trials for wrong in trial.wrongs)

    def cells(self) -> list[str]:
        """As the table shows it."""
        found = Counter(trial.found for trial in self.trials)
        ended = Counter(trial.ended for trial in self.trials)
        faults = self.faults
        others = sum(count for fault, count in faults.items() if fault not in ("double", "invalid"))
        numbers = (
            len(self.trials),
            sum(trial.reached for trial in self.trials),
            found["before"],
            found["half done"],
            found["after"],
            ended["before"],
            ended["half done"],
            ended["after"],
            sum(bool(trial.asked) for trial in self.trials),
            faults["double"],
            faults["invalid"],
            others,
        )
        return [self.history, self.kind, *map(str, numbers), f"{self.seconds:.1f}"]


HEAD = (
    "history",
    "crash",
    "runs",
    "crashed",
    "found before",
    "half",
    "after",
    "ended before",
    "half",
    "after",
    "exit 5",
    "double",
    "INVALID",
    "wrong",
    "s",
)


def run(
    ground: Ground,
    histories: Sequence[History],
    kinds: Sequence[Kind],
    *,
    seed: int,
    sample: int | None,
    spread: int = 1,
    turn: int = 0,
    say: Callable[[str], None],
) -> list[Row]:
    """Every history crashed in every way. `sample`: how many crashes of each kind; None: all there are. `spread`: each
    kind in every so many histories only. `turn`: in which of them; that many turns after one another leave nothing out.
    """
    rows = []
    for history, its_kinds in _spread(histories, kinds, spread, turn):
        bench = Bench(ground, history)
        for kind in its_kinds:
            row = Row(database=history.database, history=history.name, kind=kind.name)
            begun = time.monotonic()
            over: set[int] = set()
            for choice in _chosen(kind, bench, seed=seed, sample=sample):
                if choice.at in over:
                    continue
                row.trials.append(perform(kind, bench, choice))
                if choice.then is not None and sample is None and not row.trials[-1].reached:
                    # The second run was over before that boundary, so it has none of the later ones either.
                    over.add(choice.at)
                for wrong in row.trials[-1].wrongs:
                    say(f"WRONG ({wrong.fault}) {history.name}, {kind.name}, {choice.where}: {wrong.words}")
            row.seconds = time.monotonic() - begun
            if row.trials:
                rows.append(row)
                say("  ".join(row.cells()))
    return rows


def _spread(
    histories: Sequence[History], kinds: Sequence[Kind], every: int, turn: int
) -> Iterator[tuple[History, list[Kind]]]:
    """Each history with kinds that it can have. No kind is left out that any of them can have."""
    able = [[each for each in histories if kind.fits(each)] for kind in kinds]
    for history in histories:
        chosen = [
            kind
            for number, (kind, fitting) in enumerate(zip(kinds, able, strict=True))
            if history in fitting and (fitting.index(history) + number + turn) % min(every, len(fitting)) == 0
        ]
        if chosen:
            yield history, chosen


def _chosen(kind: Kind, bench: Bench, *, seed: int, sample: int | None) -> list[Choice]:
    random = Random(f"{seed} {bench.history.name} {kind.name}")
    choices = list(kind.choices(bench, random))
    size = None if sample is None else max(1, sample // 4) if kind.few or bench.history.slow else sample
    if size is None or len(choices) <= size:
        return choices
    return random.sample(choices, size)


def table(rows: Sequence[Row]) -> str:
    """The rows, and their sum, in columns."""
    lines = [list(HEAD), *(row.cells() for row in rows)]
    total = Row(database="sqlite", history="all", kind="", seconds=sum(row.seconds for row in rows))
    total.trials = [trial for row in rows for trial in row.trials]
    lines.append(total.cells())
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def undecidable(histories: Sequence[History]) -> str:
    """The statements that neither a mark nor the catalog can decide."""
    lines = [f"  {history.undecidable}" for history in histories if history.undecidable]
    if not lines:
        return "Every statement was decided by its mark or by the catalog."
    lines += [f"  {words} (in no history)" for words in NOT_MET]
    return "Neither mark nor catalog can decide (exit 5 asks the exact question):\n" + "\n".join(dict.fromkeys(lines))


def main(arguments: Sequence[str]) -> int:
    """Run it; answers the exit code."""
    chosen = _parser().parse_args(arguments)
    histories = [
        each
        for each in HISTORIES
        if chosen.database in (None, each.database)
        and (not chosen.history or each.name in chosen.history)
        and (not chosen.group or each.group in chosen.group)
        and (each.pooled or not chosen.pooler)
    ]
    kinds = [each for each in KINDS if not chosen.kind or each.name in chosen.kind]
    if not histories or not kinds:
        print("There is no such history or kind; see --list.", file=sys.stderr)
        return 2
    if chosen.list:
        print(
            "\n".join(
                (
                    *(f"{each.database}, {each.group}: {each.name}" for each in histories),
                    "",
                    *(each.name for each in kinds),
                )
            )
        )
        return 0
    _keep_in_memory()
    warm_up()
    rows: list[Row] = []
    begun = time.monotonic()
    for database in ("sqlite", "postgresql"):
        wanted = [each for each in histories if each.database == database]
        if not wanted:
            continue
        with ExitStack() as stack:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bascule-crash-")))
            os.environ["XDG_CACHE_HOME"] = str(root / "cache")
            ground: Ground = SqliteGround(root)
            if database == "postgresql":
                server = stack.enter_context(PostgresServer(os.environ.get("BASCULE_TEST_PG")))
                print(f"PostgreSQL {server.major}", file=sys.stderr)
                pooler = stack.enter_context(PgBouncer(server)) if chosen.pooler else None
                ground = PostgresqlGround(root, server, pooler=pooler, state_elsewhere=chosen.state_elsewhere)
            stack.callback(ground.close)
            rows += run(
                ground,
                wanted,
                kinds,
                seed=chosen.seed,
                sample=None if chosen.full else chosen.sample,
                spread=chosen.spread,
                turn=chosen.turn,
                say=_say,
            )
    print(table(rows))
    print()
    print(undecidable(histories))
    faults = sum(sum(row.faults.values()) for row in rows)
    runs = sum(len(row.trials) for row in rows)
    print(f"{runs} crashes in {time.monotonic() - begun:.0f} s, {faults or 'nothing'} wrong (seed {chosen.seed}).")
    return 1 if faults or not runs else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _keep_in_memory() -> None:
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
        tempfile.tempdir = str(_MEMORY)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.crash.campaign",
        description="Crash every history in every way, run again, and compare with the run that did not crash.",
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="one of them only")
    parser.add_argument("--full", action="store_true", help="every crash there is, and every pair of crashes")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which sample is taken")
    parser.add_argument("--sample", type=int, default=SAMPLE, metavar="N", help="how many crashes of each kind")
    parser.add_argument("--spread", type=int, default=1, metavar="N", help="each kind in every Nth history only")
    parser.add_argument("--turn", type=int, default=0, metavar="N", help="in others of them, for each N up to --spread")
    parser.add_argument("--history", action="append", metavar="NAME", help="this one (may be given again)")
    parser.add_argument("--group", action="append", metavar="NAME", help="this group of histories")
    parser.add_argument("--kind", action="append", metavar="NAME", help="this kind of crash (may be given again)")
    parser.add_argument("--pooler", action="store_true", help="PostgreSQL through PgBouncer in transaction mode")
    parser.add_argument("--state-elsewhere", action="store_true", help="with the journal in another database")
    parser.add_argument("--list", action="store_true", help="name histories and kinds")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
