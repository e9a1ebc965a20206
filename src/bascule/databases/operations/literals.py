"""A Python value as a SQL literal, exact to the last digit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from bascule.domain.statement import Dialect

_LARGEST_INTEGER_OF_SQLITE = 2**63


def literal(value: object, dialect: Dialect) -> str:
    """The SQL text that means `value`: None, a number, text, bytes, a date or time, a UUID, or a dict as JSON.

    Negative numbers stand in parentheses, so that a cast or an operator beside them binds to the whole. Raises
    TypeError for other types and ValueError for a value the database has no literal for.
    """
    if value is None:
        return "NULL"
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value, dialect)
    raise TypeError(
        f"a value of type {type(value).__name__} has no SQL literal: write its SQL text yourself, "
        "or convert it to a number, a string, bytes, a date or time, a UUID or a dict (for JSON)"
    )


def _boolean(value: bool, dialect: Dialect) -> str:
    if dialect == "postgresql":
        return "TRUE" if value else "FALSE"
    return "1" if value else "0"


def _integer(value: int, dialect: Dialect) -> str:
    # SQLite would read a larger one as a floating-point number, without a word.
    if dialect == "sqlite" and not -_LARGEST_INTEGER_OF_SQLITE <= value < _LARGEST_INTEGER_OF_SQLITE:
        raise ValueError(f"{int(value)} does not fit into SQLite's 64 bits")
    if dialect == "sqlite" and value == -_LARGEST_INTEGER_OF_SQLITE:
        return "(-9223372036854775807 - 1)"
    return _signed(int.__repr__(value))


def _float(value: float, dialect: Dialect) -> str:
    if math.isfinite(value):
        digits = float.__repr__(value)
        return _signed(digits) if dialect == "postgresql" or _read_well(digits) else _exactly(value)
    if dialect == "postgresql":
        return f"'{'NaN' if math.isnan(value) else 'Infinity' if value > 0 else '-Infinity'}'::float8"
    if math.isnan(value):
        raise ValueError("SQLite has no NaN")
    return "9e999" if value > 0 else "(-9e999)"


_LARGEST_POWER = 22
"""The largest power of ten that a double holds exactly."""
_MARGIN = 2**60
"""Releases of SQLite that reckon in 80 bits round twice: off by less than one part in so many before the last time."""
_STEP = 62
"""The largest power of two that is an integer of SQLite."""


def _read_well(digits: str) -> bool:
    """Whether every release of SQLite reads these digits as the double that is nearest to them: an exact integer times
    or divided by an exact power of ten, not too near to the middle between two doubles. Others may be read one unit off
    in the last place.
    """
    _, figures, exponent = Decimal(digits).normalize().as_tuple()
    integer = int("".join(map(str, figures)))
    if not isinstance(exponent, int) or abs(exponent) > _LARGEST_POWER or integer >= 2**53:
        return False
    from fractions import Fraction

    read = abs(float(digits))
    exact = abs(Fraction(digits))
    borders = [(Fraction(read) + Fraction(math.nextafter(read, to))) / 2 for to in (math.inf, -math.inf)]
    return all(abs(exact - border) * _MARGIN > exact for border in borders) or not exact


def _exactly(value: float) -> str:
    """The double as its integer mantissa times powers of two, each step of which is exact."""
    fraction, exponent = math.frexp(value)
    mantissa, exponent = int(fraction * 2**53), exponent - 53
    while mantissa % 2 == 0:
        mantissa, exponent = mantissa // 2, exponent + 1
    sign = "*" if exponent > 0 else "/"
    steps, rest = divmod(abs(exponent), _STEP)
    factors = [2**_STEP] * steps + ([2**rest] if rest else [])
    return f"({mantissa}*1.0{''.join(f'{sign}{factor}' for factor in factors)})"


def _decimal(value: Decimal, dialect: Dialect) -> str:
    if value.is_finite():
        return _signed(str(value))
    if dialect == "postgresql" and not value.is_snan():
        return f"'{value}'::numeric"
    raise ValueError(f"there is no SQL literal for the Decimal {value}")


def _signed(digits: str) -> str:
    return f"({digits})" if digits.startswith("-") else digits


def _text(value: str, dialect: Dialect) -> str:
    text = str.__str__(value)
    if "\0" in text:
        raise ValueError("a text with a NUL character cannot be stored")
    quoted = "'" + text.replace("'", "''") + "'"
    if dialect == "postgresql" and "\\" in text:
        # Read the same way whatever standard_conforming_strings is set to.
        return "E" + quoted.replace("\\", "\\\\")
    return quoted


def _bytes(value: bytes | bytearray | memoryview, dialect: Dialect) -> str:
    digits = bytes(value).hex()
    # E'': as above.
    return f"E'\\\\x{digits}'::bytea" if dialect == "postgresql" else f"X'{digits}'"


def _moment(value: datetime, dialect: Dialect) -> str:
    if dialect == "sqlite":
        return f"'{value.isoformat(' ')}'"
    return f"{'TIMESTAMP' if value.tzinfo is None else 'TIMESTAMPTZ'} '{value.isoformat(' ')}'"


def _day(value: date, dialect: Dialect) -> str:
    return f"DATE '{value.isoformat()}'" if dialect == "postgresql" else f"'{value.isoformat()}'"


def _time_of_day(value: time, dialect: Dialect) -> str:
    if dialect == "sqlite":
        return f"'{value.isoformat()}'"
    return f"{'TIME' if value.tzinfo is None else 'TIMETZ'} '{value.isoformat()}'"


def _span(value: timedelta, dialect: Dialect) -> str:
    if dialect == "sqlite":
        raise TypeError("SQLite has no intervals: write seconds as a number, or the SQL text you mean")
    return f"INTERVAL '{value.days} days {value.seconds} seconds {value.microseconds} microseconds'"


def _uuid(value: UUID, dialect: Dialect) -> str:
    return f"'{value}'::uuid" if dialect == "postgresql" else f"'{value}'"


def _json(value: dict[Any, Any], dialect: Dialect) -> str:
    text = _text(json.dumps(value, ensure_ascii=False, allow_nan=False), dialect)
    return f"{text}::jsonb" if dialect == "postgresql" else text


# In this order: a bool is an int, and a datetime a date.
_WRITERS: tuple[tuple[type | tuple[type, ...], Callable[[Any, Dialect], str]], ...] = (
    (bool, _boolean),
    (int, _integer),
    (float, _float),
    (Decimal, _decimal),
    (str, _text),
    ((bytes, bytearray, memoryview), _bytes),
    (datetime, _moment),
    (date, _day),
    (time, _time_of_day),
    (timedelta, _span),
    (UUID, _uuid),
    (dict, _json),
)
