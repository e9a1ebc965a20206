"""The rows of a table, looked at around a migration and around its rollback: whether they are as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

BOUND = 64 << 20
"""Bytes of all tables together that are read for one look; what is larger is not looked at whole."""
ROOM = 16 << 20
"""Bytes of all tables together of which a copy is kept, so that their rows can be made as they were."""


Copying = Literal["copy", "look", "never"]
"""``copy``: its rows are kept where they are few. ``look``: they are compared. ``never``: nothing of them may be kept,
whatever else names the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWork:
    """What a job has to look at, besides doing its statements."""

    tables: tuple[tuple[str | None, str, Copying], ...] = ()
    """Schema and name of those that the migration or its way back may write to or take rows from."""
    follow: bool = False
    """Rows may be changed or deleted, and rows of other tables along with them."""
    cascades: bool = False
    """A script says CASCADE, which takes rows of every table that refers to another."""
    carries: bool = False
    """The way back writes rows, which it may take from tables that the migration makes."""
    code: bool = False
    """It runs code that parsing does not follow, which may write to any table."""
    first: bool = False
    """This is the first job of the run: look at how the rows are."""
    last: bool = False
    """This is the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLook:
    """What is known of one table's rows after a rollback."""

    table: str
    """For people, quoted where that is needed."""
    name: str
    """Without its schema, as the catalog has it."""
    why: str | None = None
    """Why its rows were not looked at before the migration; None where they were."""
    inserted: int = 0
    """Rows that the migration added to it, by the database's own count; 0 also where nobody counted."""
    changed: int = 0
    """Rows that it changed or deleted."""
    undisturbed: bool | None = None
    """Nobody else wrote to it between the migration and its rollback; None: that could not be seen."""
    alone: bool = False
    """Nor to any other table that the migration made, or that its way back may take rows from."""
    whole: bool | None = None
    """After the rollback every value of every row is as it was before the migration; None: not looked at."""
    rows: tuple[int, int] | None = None
    """How many there were before, and are now."""
    columns: tuple[str, ...] = ()
    """Those whose values are not as they were; the empty name: whole rows of a table without a key."""
    mended: str | None = None
    """What was done to make them as they were, in words; None: nothing."""
    failed: str | None = None
    """Why that could not be done."""
    taken: int = 0
    """How many more rows the way back took away than it put in, by the database's own count, before anything was made
    as it was; 0 also where nobody counted."""
    back_run: str | None = None

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "table": self.table,
            "whole": self.whole,
            "undisturbed": self.undisturbed,
            "rows": None if self.rows is None else {"before": self.rows[0], "after": self.rows[1]},
            "columns": list(self.columns),
            "mended": self.mended,
            "notLookedAt": self.why,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsJudged:
    """What the looks at rows add to a verdict on the schema."""

    lost: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    proved: frozenset[str] = field(default_factory=frozenset)
    """Names of tables of which all rows are as they were, whatever else was doubted of them."""
