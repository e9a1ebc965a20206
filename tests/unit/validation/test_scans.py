"""Tests are put into few passes, and each pass reads no more than it says."""

from __future__ import annotations

from math import isnan
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from bascule.ports.validation import (
    AggregateTest,
    Catalog,
    DuplicateTest,
    QueryTest,
    ReferenceTest,
    RowTest,
    TableFacts,
    Test,
    ValidationOptions,
)
from bascule.validation.aggregates import judged, together
from bascule.validation.scans import MOST, fused_sql, pass_words, plan_passes, query_sql, quoted, ranges, sampled

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


def aggregate(kind: Literal["count", "sum", "min", "max"] = "sum") -> AggregateTest:
    return AggregateTest(table=A, kind=kind, expression="n", offends=bool, words="wrong")


def test_aggregates_are_read_in_the_pass_of_the_conditions_and_never_of_a_sample() -> None:
    tests: list[Test] = [row(), aggregate(), row(may_sample=True)]
    assert [each.tests for each in plan_passes(CATALOG, tests, OPTIONS) if each.percent is None] == [(0, 1)]
    preview = plan_passes(CATALOG, tests, ValidationOptions(preview=0.01))
    assert [each.tests for each in preview if each.percent is None] == [(1,)]
    assert "sum(n\n)" in fused_sql("t", [aggregate()])
    (words,) = [pass_words(CATALOG, each, tests) for each in plan_passes(CATALOG, tests[:2], OPTIONS)]
    assert words == "a: one pass for 1 condition and 1 aggregate"


@given(st.lists(st.lists(st.one_of(st.none(), st.integers(-9, 9)), max_size=4), max_size=5))
def test_an_aggregate_of_ranges_is_that_of_all_rows(ranges: list[list[int | None]]) -> None:
    def over(kind: str, values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        if kind == "count":
            return len(known)
        if kind == "sum":
            return sum(known) if known else None
        return (min(known) if kind == "min" else max(known)) if known else None

    for kind in ("count", "sum", "min", "max"):
        test = aggregate(kind)
        value = None
        for each in ranges:
            value = together(test, value, over(kind, each))
        whole = over(kind, [value for each in ranges for value in each])
        assert value == whole or not ranges


def test_nan_is_the_last_of_all_numbers_as_in_the_database() -> None:
    nan = float("nan")
    assert together(aggregate("min"), nan, 1.0) == together(aggregate("min"), 1.0, nan) == 1.0
    assert isnan(together(aggregate("max"), nan, 1.0))
    assert isnan(together(aggregate("max"), 1.0, nan))


def test_values_that_nobody_can_compare_are_a_problem_of_this_aggregate() -> None:
    test = aggregate("max")
    mixed = together(test, together(test, 1, "x"), 2)
    assert "not supported" in judged(test, mixed, rows=2, ms=1.0).problem
