"""Which of the pending migrations build on which, as their statements tell."""

from __future__ import annotations

import pytest

from bascule.domain.statement import Dialect
from bascule.planning.builds_on import builds_on
from tests.unit.planned import planned


def of(dialect: Dialect, *ups: str) -> list[str]:
    """For each script the numbers of those that it builds on; the first one is 1."""
    found = builds_on(planned(*ups, dialect=dialect), dialect)
    return ["".join(found[f"m{place}"]).replace("m", "") for place in range(1, len(ups) + 1)]


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
@pytest.mark.parametrize(
    ("ups", "told"),
    [
        (("create table t (id int)", "create index i on t (id)", "drop index i"), ["", "1", "2"]),
        (("create table t (id int)", "create table u (id int)"), ["", ""]),
        (
            ("create table t (id int)", "create table u (id int references t)", "create index i on u (id)"),
            ["", "1", "2"],
        ),
        (("create table t (id int)", "create view v as select * from T", "drop view v; drop table t"), ["", "1", "2"]),
        (("create table t (id int)", "create table u (id int)", "insert into t select * from u"), ["", "", "12"]),
        (("create table t (id int)", "create table u as select 't' as word -- t"), ["", ""]),
        (
            ("create table t (id int)", "create table u (id int references t)", "alter table t add x int"),
            ["", "1", "1"],
        ),
        ((), []),
    ],
)
def test_a_migration_builds_on_the_last_ones_that_change_what_it_names(
    dialect: Dialect, ups: tuple[str, ...], told: list[str]
) -> None:
    assert of(dialect, *ups) == told


def test_code_that_cannot_be_followed_stands_between_all_before_it_and_all_after_it() -> None:
    ups = (
        "create table t (id int)",
        "create table u (id int)",
        "do $$ begin perform 1; end $$",
        "create table v (id int)",
    )
    assert of("postgresql", *ups, "drop table t") == ["", "", "12", "3", "3"]


def test_what_a_function_names_in_its_body_counts() -> None:
    body = "create function f() returns bigint language sql as $$ select count(*) from Orders $$"
    assert of("postgresql", "create table orders (id int)", body) == ["", "1"]


@pytest.mark.parametrize(("dialect", "told"), [("postgresql", ["", "", "1"]), ("sqlite", ["", "1", "2"])])
def test_a_quoted_name_is_another_name_where_the_database_says_so(dialect: Dialect, told: list[str]) -> None:
    assert of(dialect, 'create table "T" (id int)', "alter table t add x int", 'drop table "T"') == told
