"""Where a value came from, so that an error and `doctor` can name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Layer = Literal["default", "file", "dotenv", "environment", "flag"]

RANK: dict[Layer, int] = {"default": 0, "file": 1, "dotenv": 2, "environment": 3, "flag": 4}
"""Higher wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The place of one value."""

    layer: Layer
    name: str = ""
    """The variable, flag or key as it is written there."""
    path: str = ""
    line: int = 0
    """Line in the file; 0 where it cannot be told."""

    def __str__(self) -> str:
        match self.layer:
            case "default":
                return "default"
            case "flag":
                return self.name
            case "environment":
                return f"environment variable {self.name}"
            case _:
                place = f"{self.path}:{self.line}" if self.line else self.path
                return f"{self.name} in {place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A value as it was found, with its place."""

    value: object
    origin: Origin
