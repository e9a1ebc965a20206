"""How a migration would be undone, statement by statement, what that would lose, and what it would leave different."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Way = Literal["inverse", "down", "preimage", "backup", "none"]
"""``inverse``: a statement that parsing proves to undo it. ``down``: the author's script. ``preimage``: what it
destroys is kept, and put back into what the down script makes again. ``backup``: only a copy of the tables has what it
destroys. ``none``: nothing leads back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """Of one statement."""

    line: int
    what: str
    """``DROP TABLE``, or what it destroys in words."""
    way: Way
    loses: tuple[str, ...] = ()
    """What going this way would lose, in words; empty where nothing."""
    why: str | None = None
    """Why it is not a better one."""

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        return {"line": self.line, "what": self.what, "way": self.way, "loses": list(self.loses), "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """What a down script will leave different from how its up found things."""

    differences: tuple[str, ...] = ()
    """What will not be as before, in words."""
    mended: tuple[str, ...] = ()
    """What the down script leaves different, and the rollback puts right by itself."""
    unsure: tuple[str, ...] = ()
    """Why it may differ in other ways too."""
    rows: tuple[str, ...] = ()
    """Rows that the up adds, and that stay; rows that the way back changes where nobody else looks."""
    missing: frozenset[tuple[str, str]] = frozenset()
    """Tables (with an empty second) and columns that a rollback does not make again."""
    required: tuple[tuple[str, str], ...] = ()
    """Columns that the up drops and the down makes again as NOT NULL without anything that fills them."""
    fails: str | None = None
    """Why the down script cannot work at all."""
    guessed: bool = False
    """Something was compared of which nobody has told how it was."""

    @property
    def exact(self) -> bool:
        """The down script leaves nothing different, and all of it could be followed."""
        return not (self.differences or self.mended or self.unsure or self.rows)

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "exact": self.exact,
            "differences": list(self.differences),
            "mended": list(self.mended),
            "unsure": list(self.unsure),
            "rowsLeft": list(self.rows),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationWayBack:
    """Of one migration as a whole."""

    way: Way
    """That of its worst statement."""
    ways: tuple[WayBack, ...] = ()
    losses: tuple[str, ...] = ()
    """What no way back brings again, each with the migration's name: to be accepted before it runs."""
    foretold: Foretold = Foretold()

    def notices(self, name: str) -> tuple[str, ...]:
        """What a rollback will leave different, or may, in sentences."""
        told = self.foretold
        after = tuple(f"{name}: after a rollback, {words}" for words in (*told.differences, *told.rows))
        return after + tuple(f"{name}: a rollback may not be exact: {words}" for words in told.unsure)

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "wayBack": self.way,
            "waysBack": [each.as_dict() for each in self.ways],
            "losses": list(self.losses),
            "foretold": self.foretold.as_dict(),
        }
