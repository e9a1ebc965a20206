"""Other tools, given the same statements in their own shape. Each module has ``prepare(folder, migrations,
database)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """How a tool is started."""

    name: str
    command: Callable[[str], list[str]]
    cwd: Path
    env: Callable[[str], dict[str, str]]
