"""What can be wrong with SQL text before any database has seen it."""

from __future__ import annotations


class SqlSyntaxProblem(Exception):
    """SQL that cannot be read: an unclosed string, a psql command, a COMMIT without BEGIN, a grammar's refusal.

    It knows the text alone, neither file nor database; the caller turns it into a BasculeError that does.
    """

    def __init__(self, message: str, *, offset: int, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        """Character offset in the text that was read, from 0."""
        self.line = line
        """Line in the file (or in the text, where no file is known), from 1."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"
