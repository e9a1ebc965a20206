"""What a run writes down for its trace. Times are nanoseconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bascule.domain.statement import Dialect

Value: TypeAlias = str | int | float | bool
Attributes: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Queries:
    """Statements as they were given, literals and all: nobody but the thread that takes those out may see them."""

    texts: tuple[str, ...]
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Begun:
    """A span begins."""

    key: int
    parent: int | None
    """None: it is the run itself."""
    name: str
    at: int
    attributes: Attributes
    queries: Queries | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """It ends. `error`: a code, never words, which may quote rows."""

    key: int
    at: int
    attributes: Attributes
    error: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that took no time."""

    key: int
    name: str
    at: int
    attributes: Attributes


Record: TypeAlias = Begun | Ended | Happened
