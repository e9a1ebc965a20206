"""How long a migration will take: by what like ones took on this database, before that by a stated prior."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Class = Literal["catalog", "alter", "insert", "rows", "index", "rewrite"]
"""What a statement's time depends on. ``catalog``: nothing but the catalog. ``alter``: as a rule that too, at worst all
rows. ``insert``: the rows that come, which nobody knows. ``rows``, ``index``, ``rewrite``: the rows that are there."""

ENOUGH = 3
"""Like runs from which history counts."""
ALIKE = 8.0
"""Sizes up to this factor apart are like sizes."""
_SMALL = 1 << 20
"""Bytes below which size makes no difference."""

PRIOR = (
    "a statement 3 ms; a change of rows 25 MB/s, an index 60 MB/s and a rewrite 50 MB/s of what the table holds today"
)
_SPEED: dict[Class, float] = {"alter": 50e6, "insert": 25e6, "rows": 25e6, "index": 60e6, "rewrite": 50e6}
ALL_ROWS: tuple[Class, ...] = ("rows", "index", "rewrite")
"""Those whose time depends on the rows that are there."""
_STATEMENT = 3.0

_INSERTS = ("INSERT", "COPY")
_ROWS = ("UPDATE", "DELETE", "MERGE", "DO", "CALL", "UNKNOWN", "SELECT")
_INDEXES = ("CREATE INDEX", "CREATE UNIQUE INDEX", "REINDEX")
_REWRITES = ("VACUUM", "CLUSTER", "REFRESH", "CREATE TABLE AS", "CREATE MATERIALIZED")
_ALTERS = ("ALTER TABLE", "ALTER DOMAIN", "ALTER MATERIALIZED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One statement."""

    kind: Class
    bytes: int = 0
    """What the tables that were there before it hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A run of this database's own."""

    work: tuple[Work, ...]
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Milliseconds, with an interval that is meant to hold."""

    ms: int
    low: int
    high: int
    basis: Literal["history", "prior", "mixed"]
    runs: int = 0
    """Like ones that it is taken from."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"ms": self.ms, "low": self.low, "high": self.high, "basis": self.basis, "runs": self.runs}


def class_of(kind: str) -> Class:
    """From the field's word for a statement."""
    table: tuple[tuple[tuple[str, ...], Class], ...] = (
        (_INDEXES, "index"),
        (_REWRITES, "rewrite"),
        (_INSERTS, "insert"),
        (_ROWS, "rows"),
        (_ALTERS, "alter"),
    )
    return next((found for words, found in table if kind.startswith(words)), "catalog")


def estimate(work: Sequence[Work], past: Iterable[Past] = ()) -> Estimate:
    """Of one migration. Tables may have grown since a like one ran, so history never makes the upper end smaller than
    the prior's own guess.
    """
    prior = _prior(work)
    like = sorted(each.ms for each in past if _alike(each.work, work))
    if len(like) < ENOUGH:
        return prior
    middle = like[len(like) // 2]
    return Estimate(ms=middle, low=like[0], high=max(like[-1], prior.ms), basis="history", runs=len(like))


def total(estimates: Sequence[Estimate]) -> Estimate:
    """One after the other."""
    kinds = {each.basis for each in estimates}
    return Estimate(
        ms=sum(each.ms for each in estimates),
        low=sum(each.low for each in estimates),
        high=sum(each.high for each in estimates),
        basis=kinds.pop() if len(kinds) == 1 else "mixed" if kinds else "prior",
        runs=sum(each.runs for each in estimates),
    )


def _prior(work: Sequence[Work]) -> Estimate:
    low = middle = high = 0.0
    for each in work:
        whole = each.bytes / _SPEED[each.kind] * 1000 if each.kind in _SPEED else 0.0
        low += 1
        middle += _STATEMENT + (whole if each.kind in ALL_ROWS else 0)
        high += 10 * _STATEMENT + 3 * whole
    return Estimate(ms=round(middle), low=round(low), high=round(high), basis="prior")


def _alike(one: Sequence[Work], other: Sequence[Work]) -> bool:
    if {each.kind for each in one} != {each.kind for each in other} or not one:
        return False
    return _near(_size(one), _size(other)) and _near(_SMALL * len(one), _SMALL * len(other))


def _size(work: Sequence[Work]) -> int:
    return sum(each.bytes for each in work if each.kind != "catalog")


def _near(one: int, other: int) -> bool:
    small, large = sorted((max(one, _SMALL), max(other, _SMALL)))
    return large <= small * ALIKE
