"""Which backups may go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bascule.backups.retention import Retention, RetentionPolicy, choose
from bascule.domain.backup import BackupEntry
from tests.unit.backups.streams import NOON

DAY = timedelta(days=1)
NONE_APPLIED: dict[str, set[str]] = {"t": set(), "u": set()}


def entry(days: float, **changed: Any) -> BackupEntry:
    moment = NOON - days * DAY
    values: dict[str, Any] = {
        "id": f"{days:09.3f}",
        "created_at": moment,
        "until": moment,
        "target": "t",
        "scope": "database",
        "size_bytes": 100,
    }
    return BackupEntry(**values | changed)


def removed(entries: list[BackupEntry], applied: Any = NONE_APPLIED, **rules: Any) -> list[str]:
    return [each.entry.id for each in chosen(entries, applied, **rules).remove]


def chosen(entries: list[BackupEntry], applied: Any = NONE_APPLIED, **rules: Any) -> Retention:
    return choose(entries, applied=applied, policy=RetentionPolicy(**rules), now=NOON)


def test_without_rules_everything_stays() -> None:
    assert removed([entry(days) for days in (1, 100, 10_000)]) == []


def test_what_is_older_goes() -> None:
    assert removed([entry(1), entry(30), entry(31)], max_age=30 * DAY) == [entry(31).id]


def test_more_than_so_many_go_the_oldest_first_and_each_target_is_counted_by_itself() -> None:
    entries = [entry(1), entry(2), entry(3), entry(4, target="u")]

    assert removed(entries, max_count=2) == [entry(3).id]


def test_the_oldest_go_until_all_together_are_small_enough() -> None:
    entries = [entry(1, size_bytes=50), entry(2, size_bytes=100), entry(3, size_bytes=10), entry(4, size_bytes=10)]

    assert removed(entries, max_bytes=150) == [entry(4).id, entry(3).id]
    assert removed(entries, max_bytes=149) == [entry(4).id, entry(3).id, entry(2).id]


def test_what_goes_by_age_already_makes_room() -> None:
    assert removed([entry(1), entry(2), entry(40)], max_age=30 * DAY, max_bytes=200) == [entry(40).id]


def test_the_last_verified_backup_stays_whatever_the_rules() -> None:
    entries = [entry(1), entry(50, verified_at=NOON), entry(60, verified_at=NOON)]

    assert removed(entries, max_age=DAY / 2, max_count=0, max_bytes=0) == [entry(60).id, entry(1).id]
    (kept,) = chosen(entries, max_age=DAY / 2).keep
    assert kept.reason == "the last verified backup"


def test_the_only_way_back_of_an_applied_migration_stays() -> None:
    entries = [entry(1, verified_at=NOON), entry(50, way_back_of=("a", "b")), entry(60, migration="c")]

    assert removed(entries, {"t": {"b"}}, max_age=DAY) == [entry(60).id]
    assert removed(entries, {"t": {"c"}}, max_age=DAY) == [entry(50).id]
    assert removed(entries, {"t": {"b", "c"}}, max_age=DAY) == []


def test_of_several_ways_back_the_newest_verified_one_stays() -> None:
    entries = [
        entry(40, migration="a"),
        entry(50, migration="a", verified_at=NOON),
        entry(60, migration="a", verified_at=NOON),
    ]

    assert removed(entries, {"t": {"a"}}, max_age=DAY) == [entry(60).id, entry(40).id]


def test_of_several_unverified_ways_back_none_is_given_up() -> None:
    assert removed([entry(50, migration="a"), entry(60, migration="a")], {"t": {"a"}}, max_age=DAY) == []


def test_another_targets_migration_of_the_same_name_keeps_nothing() -> None:
    assert removed([entry(50, migration="a")], {"t": set(), "u": {"a"}}, max_age=DAY) == [entry(50).id]


def test_a_target_that_could_not_be_asked_gives_up_no_way_back() -> None:
    assert removed([entry(50, migration="a"), entry(60)], {}, max_age=DAY) == [entry(60).id]


entries_of_all_kinds = st.lists(
    st.builds(
        entry,
        st.integers(0, 400).map(float),
        target=st.sampled_from("tu"),
        size_bytes=st.integers(0, 500),
        migration=st.sampled_from([None, "a", "b", "c"]),
        verified_at=st.sampled_from([None, NOON]),
    ),
    max_size=12,
    unique_by=lambda each: each.id,
)


@given(
    entries_of_all_kinds,
    st.sets(st.sampled_from("abc")),
    st.none() | st.integers(0, 300).map(lambda days: days * DAY),
    st.none() | st.integers(0, 8),
    st.none() | st.integers(0, 2000),
)
def test_whatever_the_rules_the_ways_back_and_the_last_verified_ones_stay(
    entries: list[BackupEntry],
    applied: set[str],
    max_age: timedelta | None,
    max_count: int | None,
    max_bytes: int | None,
) -> None:
    rules = {"max_age": max_age, "max_count": max_count, "max_bytes": max_bytes}

    found = chosen(entries, {"t": applied, "u": applied}, **rules)

    kept = [each.entry for each in found.keep]
    gone = [each.entry for each in found.remove]
    assert sorted(each.id for each in kept + gone) == sorted(each.id for each in entries)
    for target in "tu":
        verified = [each for each in entries if each.target == target and each.verified_at]
        assert not verified or max(verified, key=lambda each: each.until) in kept
        for name in applied:
            ways = [each for each in entries if each.target == target and each.migration == name]
            proved = [each for each in ways if each.verified_at]
            assert not ways or any(each in kept for each in proved or ways)
    free = [each for each in kept if each.migration not in applied and each.verified_at is None]
    assert all(max_age is None or NOON - each.until <= max_age for each in free)
    assert max_bytes is None or not free or sum(each.size_bytes for each in kept) <= max_bytes
