"""What a real history's plans foretell of the ways back, against what a plain runner found.

::

    python -m benchmarks.foretold FOLDER --expect FILE [--sqlite] [--blind] [--words]

FOLDER is a migrations folder in any format that Bascule reads; FILE has the verdicts of a plain runner (see
`benchmarks.histories`). No database is needed: the scripts of the history so far draw the picture from which each
migration is judged, as the catalog does where there is one. With ``--blind`` each is judged by its own two scripts
alone. Printed are the migrations that differ and were not announced, which make the command fail, and those that were
announced and are exact, of which there may be 10 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bascule.domain.migration import Script
from bascule.domain.statement import Dialect, Insight, Statement
from bascule.domain.way_back import Foretold
from bascule.planning.steps import plan_migration, read_script
from bascule.rollback.foretold import foretell
from bascule.rollback.pictures.picture import Picture
from bascule.sources.detect import open_source

DIFFER = ("diff", "noop-diff", "error")
"""What a plain runner says of ways back that do not lead back; ``noop-…`` are those of a down script without a
statement, of which a plan always says that it is empty."""
ALLOWED = 0.10
"""Of the exact ones may be announced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One migration."""

    name: str
    plain: str
    """The plain runner's verdict."""
    empty: bool
    """Its down script holds no statement, and the plan says so."""
    foretold: Foretold

    @property
    def announced(self) -> bool:
        """The plan says that something will not be as before, or may not be."""
        told = self.foretold
        return self.empty or bool(told.differences or told.mended or told.unsure)


def main(arguments: list[str] | None = None) -> int:
    """Judge a history; 0 where nothing is missing and few are announced for nothing."""
    options = _parser().parse_args(arguments)
    expected = {row["name"]: row["down"] for row in json.loads(options.expect.read_text())["rows"]}
    begun = time.perf_counter()
    judged = list(judge(options.folder, expected, "sqlite" if options.sqlite else "postgresql", blind=options.blind))
    return _print(judged, time.perf_counter() - begun, words=options.words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.foretold", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--expect", type=Path, required=True)
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--blind", action="store_true", help="know nothing but the migration's own scripts")
    parser.add_argument("--words", action="store_true", help="print what is foretold of each that differs")
    return parser


def judge(folder: Path, expected: dict[str, str], dialect: Dialect, *, blind: bool = False) -> Iterator[Judged]:
    """All migrations of a folder of which the plain runner says something, in order."""
    source = open_source(str(folder))
    picture = Picture(known=True)
    for ref in source.listing():
        migration = source.read(ref)
        planned = plan_migration(migration, "up", dialect)
        told = foretell(planned, dialect, Picture() if blind else picture, partial(_read, dialect))
        if ref.name in expected:
            empty = migration.down is None or migration.down.empty
            yield Judged(name=ref.name, plain=expected[ref.name], empty=empty, foretold=told)


def _read(dialect: Dialect, script: Script) -> list[tuple[Statement, Insight]]:
    return list(zip(*read_script(script, dialect), strict=True))


def _print(judged: list[Judged], seconds: float, *, words: bool) -> int:
    exact = [each for each in judged if each.plain not in DIFFER and not each.empty]
    missed = [each for each in judged if each.plain in DIFFER and not each.announced]
    needless = [each for each in exact if each.announced]
    for each in judged:
        if words and each.plain in DIFFER:
            print(f"{each.plain:<10} {each.name}")
            _say(each)
    for each in needless:
        print(f"NEEDLESS   {each.name} ({each.plain})")
        _say(each)
    for each in missed:
        print(f"MISSED     {each.name} ({each.plain})")
    table = Counter((each.plain, "announced" if each.announced else "not") for each in judged)
    for (plain, told), number in sorted(table.items()):
        print(f"{plain:<12} {told:<10} {number}")
    differ = sum(each.plain in DIFFER for each in judged)
    share = len(needless) / len(exact) if exact else 0.0
    print(
        f"{differ - len(missed)} of {differ} that differ were announced; {len(needless)} of {len(exact)} exact ones "
        f"needlessly ({share:.1%}); {seconds:.1f} s"
    )
    return 1 if missed or share > ALLOWED else 0


def _say(one: Judged) -> None:
    told = one.foretold
    for label, words in (
        ("", told.differences),
        ("mended: ", told.mended),
        ("unsure: ", told.unsure),
    ):
        for each in words[:6]:
            print(f"             {label}{each}")


if __name__ == "__main__":
    sys.exit(main())
