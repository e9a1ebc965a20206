"""A demand that a pending statement makes on the rows of today, and how to ask whether they meet it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bascule.domain.statement import ObjectName
from bascule.validation.needs.facts import Facts

SAMPLE = 10
"""Offending rows that are named at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A statement that runs before the one in question and changes rows."""

    table: ObjectName
    migration: str
    line: int


class Question(Protocol):
    """How the rows are asked. The SQL only reads."""

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        """Whose facts have to be known to ask."""

    def count(self, facts: Facts) -> str | None:
        """SQL for one number, of rows that offend; None where the catalog says that none can."""

    def sample(self, facts: Facts) -> str:
        """SQL for the first offenders: the columns of `heading`, each as text, at most `SAMPLE` rows."""

    def heading(self, facts: Facts) -> tuple[str, ...]:
        """Names of what `sample` answers; those of the key first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one part of one statement needs."""

    migration: str
    path: str
    line: int
    table: ObjectName
    """Whose rows are concerned, by its name of today."""
    words: str
    """What has to hold, for people: ``users.email must not be NULL``."""
    offence: str = "offend"
    """What a row does that breaks it: ``are NULL there``."""
    question: Question
    doubt: str = ""
    """Why the rows of today cannot tell: an earlier pending statement changes them. Empty: they can."""
    earlier: tuple[Change, ...] = ()
    """Rows of other tables that are changed first; where such a table has triggers or cascades, nobody can tell."""
    settings: tuple[str, ...] = ()
    """SET statements that the script made before, which tell what its names mean."""
    unless: ObjectName | None = None
    """A relation because of which, if it is there, the statement does nothing (IF NOT EXISTS)."""
    unless_column: str | None = None
    """A column of `table` because of which, if it is there, the statement does nothing."""
    server_words: bool = False
    """An error that the server makes of a value, while it is asked, is the offence itself."""
