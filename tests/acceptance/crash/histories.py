"""What a campaign runs: migrations, where they start from, and what a person would answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bascule.domain.statement import Dialect

NOT_MET = (
    "ALTER SUBSCRIPTION … ADD or DROP PUBLICATION that refreshes",
    "COMMIT PREPARED, ROLLBACK PREPARED",
    "A statement that the grammar cannot read",
    "VACUUM INTO",
)
"""Undecidable too, and in no history: they need another server, one with other settings, one to come, or a file of
their own in each run.
"""

Query = Callable[[str], Sequence[tuple[Any, ...]]]
"""Rows of a SELECT, or the effect of anything else, on the database under test."""
Answer = Literal["done", "again", "applied"]
"""To the question of exit 5: it ran; it did not; or the person has done the rest by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A session of the application that keeps a statement waiting, which can then be interrupted at work."""

    name: str
    waits: str
    """How the text of the waiting statement begins, as the server shows it without our comment."""
    sql: str
    """What the session runs, in a transaction that then stays open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One way of using Bascule, run again and again with a crash somewhere in it."""

    name: str
    database: Dialect
    group: str
    """Histories of one group are run together."""
    files: Mapping[str, str]
    """The migrations folder."""
    before: str = ""
    """What the application has in its database already: SQL."""
    applied: bool = False
    """`up` has run before the command under test."""
    applied_by: tuple[str, ...] = ("up",)
    """How, where it was not all of it."""
    applied_code: int = 0
    """How that ended."""
    then: str = ""
    """What a person did after it: SQL."""
    each: tuple[tuple[str, ...], ...] = ()
    """Commands that are run in every database by itself, after all that: a backup is of one database."""
    spoilt: str = ""
    """What the application does after those: SQL."""
    command: tuple[str, ...] = ("up",)
    """``{backup}`` in it stands for the oldest backup of the database."""
    code: int = 0
    """How the command ends when nothing crashes."""
    mend: str = ""
    """What a person puts right where the command ends with an error; then it is run once more, and ends well."""
    holds: tuple[Hold, ...] = ()
    person: Callable[[Query], Answer] | None = None
    """Answers the question of exit 5 after looking at the database; None: nothing here may ask."""
    pooled: bool = True
    """It can run behind a pooler. False: its settings or temporary objects do not outlast a transaction there."""
    looked: bool = True
    """What a crash leaves is one of the states that migrations give. False: a person may find the tables restored and
    the ledger not yet told, or a rollback that is not mended yet.
    """
    slow: bool = False
    """Every run starts interpreters (an author's Python is tried in one of its own), so a sample is smaller."""
    undecidable: str = ""
    """The statement that neither mark nor catalog can decide, where there is one; in the words of the documentation."""

    @property
    def by_backup(self) -> bool:
        """Backups are what it is about, or what it goes by."""
        return self.group == "backups"

    @property
    def steps_back(self) -> bool:
        """The command rolls back."""
        return self.command[0] == "rollback"


def native(*, up: str, down: str = "", bare: bool = False) -> str:
    """A SQL file of the native format; `bare`: without a surrounding transaction, in both directions."""
    options = " transaction:false" if bare else ""
    back = f"\n-- migrate:down{options}\n{down}\n" if down else ""
    return f"-- migrate:up{options}\n{up}\n{back}"
