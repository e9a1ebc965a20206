"""One thing to put right after a rollback, and pieces of SQL that such things are made of."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.domain.schema import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """One thing to put right."""

    sql: str
    first: str = ""
    """What has to run before it, in the same transaction."""
    then: tuple[str, ...] = ()
    """What has to run behind it, in the same transaction."""
    fills: str = ""
    """The name of a column made again, into which what is kept of it is put back; without that it would be a lie."""
    refreshes: str = ""
    """The name of a materialised view, which is computed once more when all rows are back."""
    over: Part | None = None
    """What stands there now and would be overwritten or taken away: not where it is somebody else's."""
    words: str
    """What was done, for people: ``index users_lower of users made again``."""


def quoted(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant, read alike under every setting."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def comment_on(what: str, text: str | None) -> str:
    """COMMENT ON that."""
    return f"COMMENT ON {what} IS {'NULL' if text is None else literal(text)}"
