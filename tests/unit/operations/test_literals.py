"""Values as SQL literals, read back by SQLite."""

from __future__ import annotations

import datetime as dt
import sqlite3
import struct
from contextlib import closing
from decimal import Decimal
from enum import IntEnum, StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bascule.databases.operations import literal
from bascule.domain.statement import Dialect

BOTH: tuple[Dialect, ...] = ("postgresql", "sqlite")

values_of_sqlite = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    st.binary(),
)


@given(values_of_sqlite)
def test_sqlite_reads_back_what_was_written(value: object) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        found = connection.execute(f"SELECT {literal(value, 'sqlite')}").fetchone()[0]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        6.0653895435671916e-297,
        5e-324,
        2.2250738585072014e-308,
        1.7976931348623157e308,
        0.1 + 0.2,
        1e300,
        2.0**60,
        960691.443136463,
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_double_that_sqlite_would_read_one_unit_off_is_written_as_powers_of_two(value: float, sign: int) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        found = connection.execute(f"SELECT {literal(sign * value, 'sqlite')}").fetchone()[0]
    assert struct.pack("d", found) == struct.pack("d", sign * value)


def test_an_everyday_number_stays_as_a_person_writes_it() -> None:
    assert [literal(value, "sqlite") for value in (0.1, 12.5, 1e-6)] == ["0.1", "12.5", "1e-06"]


@pytest.mark.parametrize("dialect", BOTH)
def test_a_negative_number_stays_whole_beside_an_operator(dialect: Dialect) -> None:
    assert literal(-5, dialect) == "(-5)"
    assert literal(-0.5, dialect) == "(-0.5)"
    assert literal(Decimal("-1.50"), dialect) == "(-1.50)"


def test_truth_is_spelled_as_each_database_spells_it() -> None:
    assert [literal(value, "postgresql") for value in (True, False)] == ["TRUE", "FALSE"]
    assert [literal(value, "sqlite") for value in (True, False)] == ["1", "0"]


def test_a_backslash_means_the_same_whatever_the_server_is_set_to() -> None:
    assert literal("a\\'b", "postgresql") == "E'a\\\\''b'"
    assert literal("a\\'b", "sqlite") == "'a\\''b'"


def test_members_of_enumerations_stand_for_their_values() -> None:
    class Color(StrEnum):
        RED = "red"

    class Level(IntEnum):
        HIGH = 3

    assert literal(Color.RED, "sqlite") == "'red'"
    assert literal(Level.HIGH, "sqlite") == "3"


def test_postgresql_is_told_the_type_of_what_is_not_a_plain_number_or_text() -> None:
    moment = dt.datetime(2024, 1, 2, 3, tzinfo=dt.UTC)
    assert literal(moment, "postgresql") == "TIMESTAMPTZ '2024-01-02 03:00:00+00:00'"
    assert literal(moment.replace(tzinfo=None), "postgresql") == "TIMESTAMP '2024-01-02 03:00:00'"
    assert literal(dt.date(2024, 1, 2), "postgresql") == "DATE '2024-01-02'"
    assert literal(UUID(int=1), "postgresql") == "'00000000-0000-0000-0000-000000000001'::uuid"
    assert literal({"a": "it's"}, "postgresql") == """'{"a": "it''s"}'::jsonb"""
    assert literal(float("-inf"), "postgresql") == "'-Infinity'::float8"


@pytest.mark.parametrize("value", ["a\0b", {"x": float("nan")}, Decimal("sNaN")])
@pytest.mark.parametrize("dialect", BOTH)
def test_what_no_literal_can_hold_is_refused(value: object, dialect: Dialect) -> None:
    with pytest.raises(ValueError):
        literal(value, dialect)


@pytest.mark.parametrize("value", [2**63, float("nan"), Decimal("Infinity")])
def test_what_sqlite_would_silently_change_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        literal(value, "sqlite")


@pytest.mark.parametrize("value", [object(), [1, 2], dt.timedelta(1)])
def test_a_type_without_a_literal_is_named(value: object) -> None:
    with pytest.raises(TypeError):
        literal(value, "sqlite")
