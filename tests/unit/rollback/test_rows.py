"""Which tables' rows are looked at, and what the looks say of a rollback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bascule.domain.preimage import PreImage
from bascule.domain.rowlook import RowLook, RowsJudged
from bascule.domain.statement import Dialect
from bascule.rollback.rows_verdict import judge_rows, without_proved
from bascule.rollback.rows_written import rows_written
from tests.unit.rollback.test_preimage_plan import planned

WRITTEN = {
    ("CREATE TABLE t (a int)", "DROP TABLE t"): None,
    ("ALTER TABLE t ADD a int", "ALTER TABLE t DROP a"): None,
    ("INSERT INTO s.t VALUES (1)", "DELETE FROM s.t"): (("s", "t", "copy"),),
    ("SELECT 1", 'INSERT INTO t SELECT * FROM u JOIN "S".v ON true'): (
        (None, "t", "copy"),
        (None, "u", "look"),
        ("S", "v", "look"),
    ),
    ("DROP TABLE t", "CREATE TABLE t (a int)"): ((None, "t", "copy"),),
    ("-- bascule: no-preimage erasure\nDROP TABLE t", "INSERT INTO t VALUES (1)"): ((None, "t", "never"),),
    ("ALTER TABLE t ADD a int; DO 'BEGIN END'", "SELECT 1"): ((None, "t", "look"),),
}


@pytest.mark.parametrize(("scripts", "tables"), WRITTEN.items(), ids=["; ".join(each) for each in WRITTEN])
def test_the_tables_that_either_script_writes_to_are_looked_at(scripts: tuple[str, str], tables: Any) -> None:
    found = rows_written(planned(scripts[0], down=scripts[1]), "postgresql")
    assert (found.tables if found is not None else None) == tables


@pytest.mark.parametrize(
    ("up", "down", "names"),
    [
        ("CREATE TABLE t (a)", "DROP TABLE t", None),
        ("UPDATE t SET a = 1", "SELECT 1", ["t"]),
        ("CREATE TABLE n (a)", "INSERT INTO main.t SELECT * FROM [n]", ["n", "t"]),
    ],
)
def test_sqlites_tables_are_told_by_their_names(up: str, down: str, names: list[str] | None) -> None:
    dialect: Dialect = "sqlite"
    found = rows_written(planned(up, dialect, down=down), dialect)
    assert (None if found is None else [name for _, name, _ in found.tables]) == names


def look(**parts: Any) -> RowLook:
    return RowLook(table="public.t", name="t", **parts)


def image(**parts: Any) -> PreImage:
    return PreImage(migration="m", run_id="r", ordinal=0, words="line 1 …", name="t", **parts)


UNTOUCHED = {"undisturbed": True, "alone": True}


def judged(one: RowLook, *kept: PreImage, writes: bool = False) -> RowsJudged:
    return judge_rows([one], kept, writes=writes)


def test_a_table_that_nobody_else_wrote_to_is_compared_as_a_whole() -> None:
    assert judged(look(**UNTOUCHED, whole=True, rows=(2, 2))).proved == {"t"}
    (words,) = judged(look(**UNTOUCHED, whole=False, rows=(2, 3))).lost
    assert words == "rows of public.t: there are 3, and there were 2"
    (words,) = judged(look(**UNTOUCHED, whole=False, rows=(2, 2), columns=("a", ""))).lost
    assert words == "rows of public.t: values in a are not as they were"


def test_what_is_said_of_a_value_that_was_not_kept_is_not_said_twice() -> None:
    lost = look(**UNTOUCHED, whole=False, rows=(2, 2), columns=("a",))
    assert judged(lost, image(kind="columns", columns=("a",), why="erasure")).lost == ()


def test_where_others_wrote_only_the_rows_that_were_kept_say_anything() -> None:
    disturbed = look(undisturbed=False, whole=False, rows=(2, 3), changed=1)
    kept = image(kind="update", columns=("a",), back={"rows": 1})
    found = judged(disturbed, kept)
    assert not found.unknown
    assert found.notes == (
        "public.t: looked at over the rows that the migration changed, because others wrote to it since",
    )
    for doubt in (judged(disturbed, writes=True), judged(disturbed, kept, writes=True)):
        assert "were not compared as a whole, because others wrote to it since" in doubt.unknown[0]
    # Nothing can have put them back.
    assert "of which nothing is kept, and the way back writes none" in judged(disturbed).lost[0]
    added = look(undisturbed=False, whole=False, rows=(2, 3), inserted=4)
    assert "4 rows that the migration added to it may be there still" in judged(added, kept).unknown[0]


def test_what_nobody_looked_at_is_unknown_and_its_reason_is_told() -> None:
    (words,) = judged(look(changed=3, why="it is too large")).unknown
    assert words.endswith(
        "the migration changed 3 of its rows, and they were not compared as a whole, because it is too large"
    )


def test_a_table_that_is_whole_ends_every_doubt_about_what_was_kept_of_it() -> None:
    doubted = image(kind="delete", why="rows follow")
    back = image(kind="update", back={"rows": 1})
    other = PreImage(migration="m", run_id="r", ordinal=0, kind="delete", words="…", name="u", why="no key")
    assert without_proved([doubted, back, other], {"t"}) == (back, other)
    unfollowed = replace(other, kind="table", name="", why="what SELECT takes away is not followed")
    assert without_proved([unfollowed], {"t"}) == (unfollowed,)
    assert without_proved([unfollowed], {"t"}, all_proved=True) == ()


def test_more_rows_taken_away_than_the_migration_added_are_a_loss_whoever_wrote() -> None:
    found = judge_rows([look(undisturbed=False, inserted=2, taken=3)], [], writes=True)
    (words,) = found.lost
    assert words.startswith("rows of public.t: the way back took away 3 rows, only 2 of them the migration's, because")
    assert not judge_rows([look(undisturbed=False, inserted=3, taken=3)], [], writes=True).lost
