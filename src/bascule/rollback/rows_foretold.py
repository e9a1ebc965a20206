"""What a way back does to rows that only a look afterwards would show, told from reading both scripts: pure.

Scripts that only define things may change rows all the same: a conversion by an expression, a table that is dropped and
made anew, names that go round in a circle.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from bascule.domain.statement import Statement

_NAME = r'((?:"(?:[^"]|"")+"|[\w$]+)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[\w$]+))*)'
_ALTERED = rf"\balter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?{_NAME}"
_RENAMED = re.compile(rf"{_ALTERED}\s+rename\s+to\s+{_NAME}", re.IGNORECASE)
_MADE = re.compile(
    rf"\bcreate\s+(?:(?:global|local|temp|temporary|unlogged)\s+)*table\s+(?:if\s+not\s+exists\s+)?{_NAME}",
    re.IGNORECASE,
)
_DROPPED = re.compile(rf"\bdrop\s+table\s+(?:if\s+exists\s+)?{_NAME}", re.IGNORECASE)
_CONVERTED = re.compile(
    rf"\balter\s+(?:column\s+)?{_NAME}\s+(?:set\s+data\s+)?type\s+[^,;]*?\busing\s+([^;]+)", re.IGNORECASE
)
_PLAIN_CAST = r"\s*\(*\s*{0}\s*\)*\s*(?:::\s*[\w\s\"\[\].(),]+)?\s*|\s*cast\s*\(\s*{0}\s+as\s+[^;]+\)\s*"


def rows_foretold(up: Sequence[Statement], down: Sequence[Statement], before: Collection[str]) -> Iterator[str]:
    """In words. `before`: tables that there were, with schema or without."""
    there = {_bare(name) for name in before}
    made = {_bare(name) for statement in up for name in _MADE.findall(statement.text)}
    for statement in down:
        if (match := _DROPPED.search(statement.text)) and _bare(match[1]) in there - made:
            yield f"line {statement.line} of the way back drops {match[1]}, which the migration did not make"
        for column, expression in _CONVERTED.findall(statement.text):
            if not re.fullmatch(_PLAIN_CAST.format(re.escape(column)), expression, re.IGNORECASE):
                yield f"line {statement.line} of the way back gives {column} other values by an expression"
    for name, origin in _exchanged((*up, *down)):
        if name in there and origin in there:
            yield f"{name} would hold the rows of {origin}: their names are not changed back"


def _exchanged(statements: Sequence[Statement]) -> Iterator[tuple[str, str]]:
    """Names of tables, and under which name the table was there before that has it in the end."""
    origins: dict[str, str] = {}
    for statement in statements:
        for old, new in _RENAMED.findall(statement.text):
            origins[_bare(new)] = origins.pop(_bare(old), _bare(old))
    return ((name, origin) for name, origin in origins.items() if name != origin)


def _bare(name: str) -> str:
    """Without its schema, as PostgreSQL folds it."""
    last: str = re.findall(r'"(?:[^"]|"")+"|[\w$]+', name)[-1]
    return last[1:-1].replace('""', '"') if last.startswith('"') else last.lower()
