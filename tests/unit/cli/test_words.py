from __future__ import annotations

import pytest

from bascule.cli.names import offered
from bascule.cli.words import duration, plural, table


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 ms"), (0.0124, "12 ms"), (1.25, "1.2 s"), (59.9, "59.9 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_times_are_told_as_people_tell_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_one_is_not_many() -> None:
    assert (plural(1, "migration"), plural(2, "migration")) == ("1 migration", "2 migrations")


def test_columns_stand_under_each_other_without_trailing_blanks() -> None:
    assert table([("a", "bb", "c"), ("aaa", "b", "")]) == ["  a    bb  c", "  aaa  b"]


def test_names_are_offered_by_their_beginning_or_by_what_follows_the_version() -> None:
    names = ["20240101_AddUser", "20240102_add_course", "20240103_drop"]
    assert offered(names, "") == names
    assert offered(names, "202401") == names
    assert offered(names, "add") == names[:2]
    assert offered(names, "x") == []
