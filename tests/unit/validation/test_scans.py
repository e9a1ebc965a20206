"""Tests are put into few passes, and each pass reads no more than it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bascule.ports.validation import (
    Catalog,
    DuplicateTest,
    QueryTest,
    ReferenceTest,
    RowTest,
    TableFacts,
    Test,
    ValidationOptions,
)
from bascule.validation.scans import MOST, fused_sql, plan_passes, query_sql, quoted, ranges, sampled

A, B = ("public", "a"), ("public", "b")
BIG = TableFacts(key=A, rows=50_000_000, pages=500_000, bytes=4 << 30)
SMALL = TableFacts(key=B, rows=10, pages=1, bytes=8192)
CATALOG = Catalog(dialect="postgresql", tables={A: BIG, B: SMALL})
OPTIONS = ValidationOptions()


def row(table: tuple[str, str] = A, offends: str = "x < 0", *, may_sample: bool = False) -> RowTest:
    return RowTest(table=table, offends=offends, words=offends, may_sample=may_sample)


REFERENCE = ReferenceTest(table=A, columns=("b_id",), parent=B, parent_columns=("id",), words="lost")


def test_conditions_of_a_table_are_read_in_one_pass() -> None:
    tests: list[Test] = [row(offends="x < 0"), row(B), row(offends="y < 0")]
    assert [each.tests for each in plan_passes(CATALOG, tests, OPTIONS)] == [(0, 2), (1,)]


def test_what_may_be_sampled_is_read_apart_from_what_may_not() -> None:
    tests: list[Test] = [row(), row(may_sample=True)]
    assert {each.percent for each in plan_passes(CATALOG, tests, OPTIONS)} == {None, 2.0}


def test_references_duplicates_and_queries_have_passes_of_their_own() -> None:
    tests: list[Test] = [
        row(),
        REFERENCE,
        DuplicateTest(table=A, columns=("c",), words="twice"),
        QueryTest(sql="select 1", words="one"),
    ]
    assert sorted(each.tests for each in plan_passes(CATALOG, tests, OPTIONS)) == [(0,), (1,), (2,), (3,)]


def test_no_statement_has_too_many_conditions() -> None:
    tests: list[Test] = [row(offends=f"x = {number}") for number in range(2 * MOST + 1)]
    passes = plan_passes(CATALOG, tests, OPTIONS)
    assert sorted(len(each.tests) for each in passes) == [1, MOST, MOST]


def test_large_tables_come_first() -> None:
    tests: list[Test] = [row(B), row(A)]
    assert [each.table for each in plan_passes(CATALOG, tests, OPTIONS)] == [A, B]


def test_a_small_table_is_never_sampled() -> None:
    assert sampled(SMALL, ValidationOptions(preview=0.01), allowed=True) is None
    assert sampled(BIG, ValidationOptions(preview=0.01), allowed=False) == 1.0
    assert sampled(BIG, OPTIONS, allowed=False) is None


@given(pages=st.integers(0, 2_000_000), largest=st.integers(1, 50_000), least=st.integers(1, 4))
def test_ranges_hold_every_block_once(pages: int, largest: int, least: int) -> None:
    found = ranges(pages, largest, least)
    assert found[0][0] == 0
    assert found[-1][1] is None
    assert [end for _, end in found[:-1]] == [first for first, _ in found[1:]]
    assert all(end is None or end - first <= largest for first, end in found)


@given(st.text(min_size=1))
def test_a_name_never_leaves_its_quotes(name: str) -> None:
    assert quoted(name)[1:-1].replace('""', "").count('"') == 0


def test_a_comment_in_a_condition_ends_with_it() -> None:
    assert "-- why\n)" in fused_sql("t", [row(offends="x < 0 -- why")])


def test_a_query_may_end_in_a_semicolon() -> None:
    assert query_sql(QueryTest(sql=" select 1; ", words=""))[0] == "SELECT count(*) FROM (select 1\n) AS asked"
