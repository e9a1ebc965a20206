"""A migration as its source lists it, and as it reads once its files have been opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["sql", "python"]
Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRef:
    """A migration as the folder listing tells it, without opening a file."""

    name: str
    """Its identity in the ledger: the file's (or folder's) name without extension."""
    version: str
    """What the folder's own tool keys on, as text."""
    order: tuple[int | str, ...]
    """Sort key by the folder's own rule. Comparable within one source."""
    path: str
    """File of the up script."""
    down_path: str | None = None
    """File of the down script where it is a file of its own; None when it is in `path` or there is none."""
    language: Language = "sql"
    repeatable: bool = False
    """Runs again whenever its meaning changes; always after the versioned ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One direction of a migration."""

    text: str
    path: str
    line: int = 1
    """Line of `path` on which `text` begins."""
    transaction: bool = True
    """False: the author turned the surrounding transaction off."""
    language: Language = "sql"
    empty: bool = False
    """Nothing in it but comments and white space."""


HookEvent = Literal["before_up", "after_up", "before_rollback", "after_rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A script of the project's that runs before or after an up or a rollback, and is not in the ledger."""

    event: HookEvent
    script: Script


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A migration with its files read."""

    ref: MigrationRef
    up: Script
    down: Script | None
    """None: the author wrote no way back. A script with `empty`: a way back of comments only."""
    exact_hash: str
    """SHA-256 (hex) over the bytes of the up file."""
    depends: tuple[str, ...] | None = None
    """Names as written after ``depends``; None: nothing declared, so the one before it in order counts."""
    description: str = ""
    irreversible: str | None = None
    """The author's reason why there is no way back."""
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its identity in the ledger."""
        return self.ref.name
