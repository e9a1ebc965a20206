"""What a statement destroys, kept before it runs, and what of that came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bascule.domain.rowlook import RowWork

KeepKind = Literal["columns", "table", "update", "retype", "delete", "rebuilt"]
"""``columns``: the values of dropped columns, by key. ``table``: all rows of a table that is dropped or emptied.
``update``: overwritten values, ``retype``: values that are converted, both with what became of them. ``delete``: whole
rows. ``rebuilt``: a table that the script drops and makes anew under the same name (SQLite's way to alter one)."""

BUDGET = 256 << 20
"""Bytes that the copy for one statement may take; what is larger is the backup's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What has to be kept in front of one statement."""

    index: int
    """Of the statement, among those of its job."""
    ordinal: int
    """Of the statement, in its script."""
    kind: KeepKind
    words: str
    """What is destroyed, for people: ``line 3 drops column users.note``."""
    name: str
    """Of the table, as the database folds it."""
    schema: str | None = None
    columns: tuple[str, ...] = ()
    """Those that are lost; empty where it is all of them."""
    where: str | None = None
    """The statement's own condition, as written, where it depends on nothing but the row; None: any row may be
    concerned."""
    alias: str | None = None
    """What the condition calls the table."""
    why: str | None = None
    """Why nothing can be kept, in words, as far as the statement tells."""

    def as_dict(self) -> dict[str, Any]:
        """For the database's functions; what is not known is left out."""
        answer: dict[str, Any] = {
            "ordinal": self.ordinal,
            "kind": self.kind,
            "words": self.words,
            "schema": self.schema,
            "name": self.name,
            "columns": list(self.columns),
            "where": self.where,
            "alias": self.alias,
        }
        return answer | ({"why": self.why} if self.why is not None else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """What would come of a `Keep` if it ran now."""

    keep: Keep
    there: bool
    """The table is there today; one that the script itself makes is not."""
    why: str | None = None
    """Why nothing can be kept; None where it can."""
    rows: int | None = None
    """Rows of the table, by the database's own guess."""
    bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreImage:
    """What is kept for one statement, or was put back."""

    migration: str
    run_id: str
    ordinal: int
    kind: KeepKind
    words: str
    relation: str = ""
    """The table, quoted where that is needed."""
    name: str = ""
    """The table without its schema, as the catalog has it."""
    columns: tuple[str, ...] = ()
    rows: int | None = None
    """How many rows are kept; None where nothing is."""
    bytes: int | None = None
    why: str | None = None
    """Why nothing is kept (any more)."""
    kept: bool = False
    """Its rows are still there to be put back."""
    back: Mapping[str, Any] | None = None
    """After a rollback: ``rows`` put back, ``changed`` left alone because somebody changed them since, ``gone`` no
    longer there, ``newer`` written since; or ``failed``, in words. None before."""
    back_run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreImageWork:
    """What a job has to do about pre-images besides its statements."""

    keeps: tuple[Keep, ...] = ()
    look: bool = False
    """In front of all: see which overwritten values are still as the migration wrote them."""
    tries: frozenset[int] = field(default_factory=frozenset)
    """Behind the statements of these indexes dropped columns and tables may be there again, and the statements that
    follow may need their values."""
    tables: bool = True
    """Rows of dropped tables are put back there too; not where the script writes rows of its own, which would clash."""
    then: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """By such an index, what is run when the values are there: SET NOT NULL of columns that came without it."""
    rows: RowWork | None = None
    """Which tables' rows are looked at, besides what is kept of them."""
    put_back: bool = False
    """Behind all: put back whatever is kept of the migration, and write down what came of it."""
