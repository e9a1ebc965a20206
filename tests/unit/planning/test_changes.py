"""What is said of a world that is not the one a plan was made for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bascule.domain.plan_file import FileHashes, World
from bascule.planning.changes import changed_files, changed_world

TARGET = {
    "dialect": "postgresql",
    "database": "shop",
    "location": "postgresql://db/shop",
    "identity": "7/1",
    "environment": "staging",
}
THEN = World(target=TARGET, applied=2, newest="b", ledger="l", hooks={"before_up": "h"}, objects={"table t": "1"})
FILE = FileHashes(name="m", exact="e", semantic="s", parser="p", down="d")


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (THEN, []),
        (replace(THEN, target=TARGET | {"location": "postgresql://10.0.0.1/shop"}), []),
        (replace(THEN, target=TARGET | {"identity": "8/1"}), ["another database"]),
        (replace(THEN, target=TARGET | {"identity": "", "location": "elsewhere"}), ["another database"]),
        (replace(THEN, target=TARGET | {"identity": ""}), []),
        (replace(THEN, target=TARGET | {"environment": "production"}), ["was staging, and is production"]),
        (
            replace(THEN, applied=3, newest="c", ledger="x"),
            ["had 2 applied, b the last, and has 3 applied, c the last"],
        ),
        (replace(THEN, applied=0, newest="", ledger="x"), ["and has nothing"]),
        (replace(THEN, hooks={}), ["the hook before_up is gone"]),
        (replace(THEN, hooks={"before_up": "x"}), ["the hook before_up is another one now"]),
        (replace(THEN, objects={}), ["table t is gone"]),
        (replace(THEN, objects={"table t": "1", "view v": "2"}), ["view v is there now"]),
        (replace(THEN, objects={f"table {n}": "1" for n in range(10)}), ["is there now"] * 5 + ["and 6 more"]),
    ],
)
def test_a_change_of_the_world(now: World, words: list[str]) -> None:
    found = changed_world(THEN, now)
    assert len(found) == len(words)
    assert all(word in line for word, line in zip(words, found, strict=True)), found


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (FILE, ""),
        (None, "not in the folder"),
        (replace(FILE, exact="x"), "was edited"),
        (replace(FILE, semantic="x"), "variable"),
        (replace(FILE, semantic="x", parser="q"), ""),
        (replace(FILE, down="x"), "way back of m was edited"),
    ],
)
def test_a_change_of_a_file(now: FileHashes | None, words: str) -> None:
    found = changed_files([FILE], {} if now is None else {"m": now})
    assert (words in found[0]) if words else not found
