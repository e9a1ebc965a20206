"""Statements that no migration may hold, each with the reason; they are refused before anything of the script runs.

SQLite's ATTACH would have to be made before the script's transaction, for one statement at a time, and rows written to
two files are not committed together once a write-ahead log is in use. PostgreSQL's old manner of reading strings would
move the ends of the statements below its setting. A read-only transaction cannot hold the ledger row.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from bascule.domain.statement import Dialect, Statement
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold, significant

_ATTACHING = {
    "attach": "ATTACH lasts for its one statement only here, so nothing after it could use the other database; a "
    "migration works on one database file",
    "detach": "DETACH has nothing to let go here, because no ATTACH outlasts its own statement; a migration works on "
    "one database file",
}
_STRINGS = "standard_conforming_strings"
_OLD_STRINGS = (
    "with standard_conforming_strings off a backslash ends no string, so the statements of the script would end "
    "elsewhere than they do here: take the setting out, and write E'…' where backslashes are escapes"
)
_READ_ONLY = "in a READ ONLY transaction the migration could not be recorded: take READ ONLY out"
_PLAIN = frozenset(("on", "true", "t", "yes", "y", "1", "default"))
_OF_A_ROUTINE = frozenset(("function", "procedure", "routine"))


def refuse_statements(statements: Iterable[Statement], dialect: Dialect) -> None:
    """Raises SqlSyntaxProblem, with the line, for the first statement that no migration may hold."""
    for statement in statements:
        if (reason := refusal(statement.text, dialect)) is not None:
            raise SqlSyntaxProblem(reason, offset=statement.offset, line=statement.line)


def refusal(text: str, dialect: Dialect) -> str | None:
    """Why a migration may not hold this statement; None for one that it may, and for one that cannot be read."""
    # Nearly every statement is let through by its first letters: reading all tokens of all of them would be dear.
    try:
        if dialect == "sqlite":
            word = text[:6].lower()
            return _ATTACHING[word] if word in _ATTACHING and _first(text) == word else None
        if text[:3].lower() == "set" and _reads_only(text):
            return _READ_ONLY
        return _OLD_STRINGS if _STRINGS in text.lower() and _turns_strings(text) else None
    except SqlSyntaxProblem:
        return None


def _first(text: str) -> str:
    return next((fold(text[start:end]) for _, start, end in significant(text, "sqlite")), "")


def _reads_only(text: str) -> bool:
    """SET TRANSACTION … READ ONLY, also with LOCAL or SESSION CHARACTERISTICS AS."""
    words = _tokens(text)
    return "transaction" in words[1:5] and "=" not in words and ("read", "only") in pairwise(words)


def _turns_strings(text: str) -> bool:
    words = _tokens(text)
    # What a routine sets for itself holds while it runs, and changes nothing for the script.
    if words[0] == "create" or (words[0] == "alter" and words[1] in _OF_A_ROUTINE):
        return False
    names = [place for place, word in enumerate(words) if word == _STRINGS]
    return any(_sets(words, place) for place in names)


def _sets(words: list[str], place: int) -> bool:
    """Whether the setting named there gets any other value than the usual one."""
    before, after = words[max(0, place - 2) : place], words[place + 1 : place + 3]
    named_in_a_call = before == ["set_config", "("] and after[:1] == [","]
    named_in_a_set = words[0] in ("set", "alter") and after[:1] in (["="], ["to"])
    return (named_in_a_call or named_in_a_set) and not (len(after) > 1 and after[1] in _PLAIN)


def _tokens(text: str) -> list[str]:
    """Words folded, names and strings without their quotes and folded too, everything else as written."""
    found = []
    for kind, start, end in significant(text, "postgresql"):
        token = text[start:end]
        quoted = kind == "quoted" or (kind == "string" and token.startswith("'"))
        found.append(fold(token[1:-1]) if quoted else fold(token) if kind == "word" else token)
    return found
