"""What the words of a statement alone tell, where PostgreSQL's grammar cannot read it."""

from __future__ import annotations

from bascule.domain.statement import Effect, Insight, Statement, Touch
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold, significant
from bascule.sql.postgres.session import Control
from bascule.sql.postgres.tree import everything

_CONTROL: dict[str, Control] = {
    "begin": "begin",
    "start": "begin",
    "commit": "commit",
    "end": "commit",
    "rollback": "rollback",
    "abort": "rollback",
    "savepoint": "savepoint",
    "release": "savepoint",
}

_OUTSIDE = (
    ("vacuum",),
    ("alter", "system"),
    ("create", "database"),
    ("drop", "database"),
    ("create", "tablespace"),
    ("drop", "tablespace"),
    ("reindex", "database"),
    ("reindex", "schema"),
    ("reindex", "system"),
)


def by_words(statement: Statement, reason: str) -> Insight:
    """The most careful reading: it may touch everything, and what it leaves outside a transaction nobody knows."""
    words = _words(statement.text)
    control = _control(words)
    touch = everything(statement, reason)
    if control is None:
        touch |= Touch(
            unseen=(f"line {statement.line}: {reason}, so looks at the schema may not show what it changes",)
        )
    if control is None and _runs_outside(words):
        return Insight(kind="UNKNOWN", transactional=False, touch=touch, effect=Effect(action="unknown"))
    session = words[:1] in (("set",), ("reset",)) and words[1:2] != ("local",)
    return Insight(kind="UNKNOWN", transactional=True, control=control, session=session, touch=touch)


def _words(text: str) -> tuple[str, ...]:
    """The words outside of parentheses, folded; none where the text cannot be read."""
    words: list[str] = []
    depth = 0
    try:
        for kind, start, end in significant(text, "postgresql"):
            depth += (text[start:end] == "(") - (text[start:end] == ")")
            if kind == "word" and depth == 0:
                words.append(fold(text[start:end]))
    except SqlSyntaxProblem:
        return ()
    return tuple(words)


def _control(words: tuple[str, ...]) -> Control | None:
    if words[:2] == ("prepare", "transaction"):
        return "commit"
    control = _CONTROL.get(words[0]) if words else None
    return "savepoint" if control == "rollback" and "to" in words else control


def _runs_outside(words: tuple[str, ...]) -> bool:
    """CONCURRENTLY is refused in a transaction everywhere but in REFRESH MATERIALIZED VIEW."""
    if any(words[: len(head)] == head for head in _OUTSIDE):
        return True
    return words[:1] in (("create",), ("drop",), ("reindex",), ("alter",)) and "concurrently" in words
