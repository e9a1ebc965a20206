"""How long it will take: from like runs where there are enough, else from the prior."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bascule.domain.statement import Insight
from bascule.planning.estimate import ENOUGH, Class, Past, Work, class_of, estimate, total
from bascule.planning.impact import Held, weighed
from bascule.planning.sizes import Size, spelled_bytes

INDEX = (Work(kind="index", bytes=600_000_000),)
KINDS: tuple[Class, ...] = ("catalog", "alter", "insert", "rows", "index", "rewrite")
WORKS = st.lists(st.builds(Work, kind=st.sampled_from(KINDS), bytes=st.integers(0, 10**12)), max_size=5)


def test_without_history_it_is_the_prior_and_grows_with_the_table() -> None:
    found = estimate(INDEX)
    assert (found.basis, found.runs) == ("prior", 0)
    assert 9_000 < found.ms < 11_000
    assert estimate((Work(kind="catalog", bytes=10**12),)).ms < 10


def test_enough_like_runs_on_like_sizes_count_and_too_few_do_not() -> None:
    past = [Past(work=INDEX, ms=ms) for ms in (4000, 5000, 20_000)]
    found = estimate(INDEX, past)
    assert (found.ms, found.low, found.high, found.basis, found.runs) == (5000, 4000, 20_000, "history", ENOUGH)
    assert estimate(INDEX, past[1:]).basis == "prior"


def test_other_work_and_other_sizes_are_no_history() -> None:
    small = [Past(work=(Work(kind="index", bytes=1_000_000),), ms=5)] * 9
    other = [Past(work=(Work(kind="rows", bytes=600_000_000),), ms=5)] * 9
    assert estimate(INDEX, [*small, *other]).basis == "prior"


def test_a_table_that_has_grown_since_does_not_shrink_the_upper_end() -> None:
    past = [Past(work=INDEX, ms=1)] * 3
    assert estimate(INDEX, past).high >= estimate(INDEX).ms


@given(WORKS, st.lists(st.builds(Past, work=WORKS.map(tuple), ms=st.integers(0, 10**9)), max_size=8))
def test_the_estimate_lies_in_its_interval(work: list[Work], past: list[Past]) -> None:
    found = estimate(work, past)
    assert 0 <= found.low <= found.ms <= found.high


def test_a_sum_says_when_a_part_of_it_is_a_prior() -> None:
    history = estimate(INDEX, [Past(work=INDEX, ms=9)] * 3)
    assert total([history, estimate(INDEX)]).basis == "mixed"
    assert total([history, history]).basis == "history"
    assert (total([]).ms, total([]).basis) == (0, "prior")


def test_words_for_statements_have_a_class() -> None:
    assert [class_of(kind) for kind in ("CREATE TABLE", "ALTER TABLE", "CREATE INDEX CONCURRENTLY", "UPDATE")] == [
        "catalog",
        "alter",
        "index",
        "rows",
    ]


def test_a_change_of_a_large_table_is_of_high_impact_and_says_why() -> None:
    alter = Insight(kind="ALTER TABLE", transactional=True)
    size = Size(rows=2_000_000, exact=False, bytes=300_000_000)
    held = Held(table="users", words=size.words(), rows=size.rows, bytes=size.weight)
    level, words = weighed(alter, 7, [held])
    assert level == "high"
    assert words == "line 7: ALTER TABLE (users holds about 2,000,000 rows, 300 MB)"
    assert weighed(alter, 7, [])[0] == "medium"
    assert weighed(Insight(kind="CREATE TABLE", transactional=True), 1, []) == ("low", "")


def test_bytes_are_spelled_for_people() -> None:
    assert [spelled_bytes(n) for n in (0, 8192, 1_234_567_890, 5 * 10**12)] == ["0 bytes", "8.2 kB", "1.2 GB", "5.0 TB"]
