"""A metric and its values, whoever is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric, with a value for each set of labels."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    values: Sequence[tuple[Mapping[str, str], float | int | None]]
    """None: nobody knows."""
