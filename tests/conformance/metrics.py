"""What every target must show of its journal in numbers, and of itself while a run is at work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bascule.domain.history import Fact
from bascule.domain.metrics import merged, metrics_of
from bascule.domain.performance import Performance
from bascule.ports.database import Target
from bascule.state import notes, performance

NOW = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)


def fact(kind: str, *, direction: str = "up", **data: object) -> Fact:
    return Fact(kind=kind, run_id="r", migration="m", direction=direction, data=data)


class MetricsConformance:
    """Promises of `Target.tally`, `newest_fact` and `vitals`, and of two tables of the state store."""

    @pytest.fixture
    def target(self, target_factory: Callable[[], Target]) -> Target:
        return target_factory()

    def test_nothing_is_counted_where_bascule_never_ran(self, target: Target) -> None:
        assert list(target.tally()) == []
        assert target.newest_fact() == 0

    def test_facts_are_counted_by_kind_direction_and_rule(self, target: Target) -> None:
        target.prepare()
        target.append(
            [
                fact("run_started"),
                fact("run_completed", ms=10),
                fact("run_completed", ms=30),
                fact("run_completed"),
                fact("run_failed"),
                fact("run_failed", direction="down"),
                fact("rolled_back", direction="down", ms=5),
                fact("validation_failed", rules=["fk_integrity", "needs"]),
                fact("validation_failed", rules=["needs"]),
                fact("validation_failed"),
            ]
        )
        found = metrics_of(merged(target.tally()))
        assert (found.total_migrations, found.successful_migrations, found.failed_migrations) == (4, 3, 1)
        assert (found.total_execution_time, found.average_execution_time) == (40, 20.0)
        assert (found.rollback_count, found.rollback_failures, found.rollback_success_rate) == (1, 1, 50.0)
        assert found.migration_success_rate == 75.0
        assert (found.validation_failures, found.validation_failures_by_rule) == (3, {"needs": 2, "fk_integrity": 1})
        assert found.last_migration_time is not None
        assert datetime.now(UTC) - found.last_migration_time < timedelta(minutes=1)
        assert [day.date for day in found.trends] == [found.last_migration_time.date().isoformat()]

    def test_counting_goes_on_where_it_had_ended(self, target: Target) -> None:
        target.prepare()
        target.append([fact("run_completed", ms=1), fact("run_failed")])
        upto = target.newest_fact()
        first = target.tally()
        target.append([fact("run_completed", ms=2)])
        assert target.newest_fact() > upto
        assert target.newest_fact(older_than=60.0) == 0
        assert sum(each.count for each in target.tally(after=upto)) == 1
        assert sum(each.count for each in target.tally(upto=upto)) == 2
        assert merged(first, target.tally(after=upto)) == merged(target.tally())

    def test_failures_are_found_among_many_facts(self, target: Target) -> None:
        target.prepare()
        door = target.state()
        door.write("INSERT INTO @note (target, key, at, value) VALUES ('', '', '', '')")
        door.close()
        target.append([fact("run_failed", error="no"), *(fact("run_completed", ms=1) for _ in range(50))])
        assert [each.data["error"] for each in target.journal(kinds=("run_failed", "rolled_back"))] == ["no"]
        assert len(target.journal(kinds=("run_failed", "run_completed"))) == 51

    def test_a_look_at_the_vitals_changes_nothing(self, target: Target) -> None:
        target.prepare()
        vitals = target.vitals()
        first, second = vitals.sample(), vitals.sample()
        vitals.close()
        assert first.lock_wait_ms in (None, 0)
        for name in ("wal_bytes", "read_bytes", "written_bytes", "temp_bytes"):
            assert (getattr(first, name) or 0) <= (getattr(second, name) or 0)
        if target.dialect == "postgresql":
            assert first.connections is not None
            assert first.connections >= 2

    def test_performance_records_come_back_as_they_were(self, target: Target) -> None:
        target.prepare()
        door = target.state()
        records = [
            Performance(
                id=f"r{number}",
                run_id="run",
                migration="m",
                at=NOW + timedelta(seconds=number),
                execution_ms=1.5,
                rows=number or None,
                extra={"note": "é \U0001f600"},
            )
            for number in range(250)
        ]
        performance.add(door, records)
        performance.add(door, records[:1])
        assert performance.newest(door, limit=0) == tuple(reversed(records))
        assert performance.newest(door, limit=2) == (records[249], records[248])
        since, until = NOW + timedelta(seconds=10), NOW + timedelta(seconds=12)
        assert performance.newest(door, since=since, until=until) == (records[11], records[10])
        assert performance.remove_before(door, NOW + timedelta(seconds=249)) == 249
        assert performance.newest(door) == (records[249],)
        door.close()

    def test_a_note_is_replaced_by_the_next(self, target: Target) -> None:
        target.prepare()
        door = target.state()
        assert notes.read(door, "k") is None
        for value in ({"a": [1, "é"]}, {"b": None}):
            notes.write(door, "k", value, NOW)
            note = notes.read(door, "k")
            assert note is not None
            assert (note.value, note.at) == (value, NOW)
        door.close()
