"""What every door to a state store must show. Subclass `StateConformance` beside a `target_factory` fixture, as for
`TargetConformance`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from bascule.ports.database import Target
from bascule.ports.state import StateDoor
from bascule.state.tables import TABLES, named

PUT = "INSERT INTO @note (target, key, at, value) VALUES (?, ?, '', ?)"
ALL = "SELECT key, value FROM @note ORDER BY key"


class StateConformance:
    """Promises of `bascule.ports.state.StateDoor`, one a test."""

    @pytest.fixture
    def target(self, target_factory: Callable[[], Target]) -> Target:
        return target_factory()

    @pytest.fixture
    def doors(self, target: Target) -> Iterator[Callable[[], StateDoor]]:
        opened: list[StateDoor] = []

        def open_one() -> StateDoor:
            opened.append(target.state())
            return opened[-1]

        yield open_one
        for door in opened:
            door.close()

    def test_reading_makes_nothing_and_finds_nothing(self, target: Target, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        assert door.read(ALL) == []
        assert door.about() == ""
        assert not target.describe().prepared

    def test_writing_makes_the_tables(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        door.write(PUT, ("t", "a", 'one "quoted" ? 100 % é'))
        assert door.read(ALL) == [("a", 'one "quoted" ? 100 % é')]
        assert door.about()

    def test_every_table_can_be_read(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        door.write(PUT, ("t", "a", "1"))
        tables = [text.split("@")[1].split(" ")[0] for text in TABLES if text.startswith("CREATE TABLE")]
        assert {table: door.read(f"SELECT count(*) FROM @{table}") for table in tables} == {
            table: [(1 if table == "note" else 0,)] for table in tables
        }

    def test_all_doors_of_a_target_tell_the_same_identity(
        self, target_factory: Callable[[], Target], doors: Callable[[], StateDoor]
    ) -> None:
        one, other = doors(), target_factory().state()
        one.write(PUT, ("t", "a", "1"))
        try:
            assert one.about() == other.about() != ""
            assert other.read(ALL) == [("a", "1")]
        finally:
            other.close()

    def test_a_transaction_that_fails_writes_nothing(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        door.write(PUT, ("t", "a", "1"))

        def fail() -> None:
            with door.transaction() as transaction:
                transaction.ask(PUT, ("t", "b", "2"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert door.read(ALL) == [("a", "1")]
        door.write(PUT, ("t", "c", "3"))
        assert door.read(ALL) == [("a", "1"), ("c", "3")]

    def test_it_answers_what_a_statement_returns(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        assert door.write(f"{PUT} RETURNING key", ("t", "a", "1")) == [("a",)]
        assert door.write("UPDATE @note SET value = ? WHERE key = ?", ("2", "missing")) == []

    def test_one_transaction_of_a_name_at_a_time(self, doors: Callable[[], StateDoor]) -> None:
        first = doors()
        first.write("INSERT INTO @note (target, key, at, value) VALUES ('t', 'n', '', '0')")

        def count_up(door: StateDoor) -> None:
            for _ in range(20):
                with door.transaction(alone="counting") as transaction:
                    (value,) = transaction.ask("SELECT value FROM @note WHERE key = 'n'")[0]
                    transaction.ask("UPDATE @note SET value = ? WHERE key = 'n'", (str(int(value) + 1),))

        threads = [threading.Thread(target=count_up, args=(door,)) for door in (first, first, doors(), doors())]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.read(ALL) == [("n", "80")]

    def test_what_is_there_stays_when_the_tables_are_asked_for_again(self, doors: Callable[[], StateDoor]) -> None:
        door = doors()
        door.write(PUT, ("t", "a", "1"))
        with door.transaction() as transaction:
            for table in TABLES:
                # Each statement makes what is not there and leaves alone what is.
                assert "IF NOT EXISTS" in table
            transaction.ask("DELETE FROM @note WHERE key = 'missing'")
        assert door.read(ALL) == [("a", "1")]

    def test_names_stand_for_tables_alone(self) -> None:
        assert named("SELECT ? FROM @note, @alert", lambda table: f"x.{table}") == "SELECT ? FROM x.note, x.alert"
