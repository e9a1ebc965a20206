"""Where sequences have come to, so that a restore does not give out numbers for a second time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bascule.databases.postgres.message import literal

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_BOUNDS = """SELECT s.seqincrement, s.seqmin, s.seqmax FROM pg_catalog.pg_sequence AS s
WHERE s.seqrelid = pg_catalog.to_regclass(%s)"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A sequence's ``last_value`` and ``is_called``."""

    value: int
    called: bool


def read_standing(connection: Connection, names: Iterable[str]) -> Mapping[str, Standing]:
    """Of those of these sequences that there are. `names`: as the server quotes them. Raises psycopg.Error."""
    found = {}
    for name in names:
        row = connection.execute(f"SELECT pg_catalog.to_regclass({literal(name)}) IS NOT NULL").fetchone()
        if row is not None and row[0]:
            value = connection.execute(f"SELECT last_value, is_called FROM {name}").fetchone()
            assert value is not None, "a sequence is one row"
            found[name] = Standing(*value)
    return found


def keep_ahead(connection: Connection, standing: Mapping[str, Standing]) -> None:
    """Set those forward again that a restore has turned back. Raises psycopg.Error."""
    now = read_standing(connection, standing)
    for name, then in standing.items():
        bounds = connection.execute(_BOUNDS, (name,)).fetchone()
        if name not in now or bounds is None:
            continue
        further = furthest(now[name], then, increment=bounds[0], low=bounds[1], high=bounds[2])
        if further != now[name]:
            connection.execute(
                f"SELECT pg_catalog.setval({literal(name)}, {further.value}, {str(further.called).lower()})"
            )


def furthest(one: Standing, other: Standing, *, increment: int, low: int, high: int) -> Standing:
    """The later of the two in the direction that the sequence counts, within its bounds: they may be narrower again."""

    def place(each: Standing) -> tuple[int, bool]:
        return (each.value if increment > 0 else -each.value), each.called

    late = max(one, other, key=place)
    return Standing(min(max(late.value, low), high), late.called)
