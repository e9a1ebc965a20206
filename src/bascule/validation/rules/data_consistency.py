"""Counters, copies and encodings, as the project declares them.

Bad: ``orders.item_count = 3`` over two items; ``MÃ¼ller``. Good: a trigger or a view; text that was decoded once.
"""

from __future__ import annotations

from dataclasses import replace

from bascule.ports.validation import Asked, ColumnFacts, Declaration, Inspection, Rule
from bascule.validation.declared import only_declared
from bascule.validation.scans import quoted

# Built from numbers, so that no editor and no terminal can spoil it: what the first bytes of UTF-8's two and three byte
# letters look like when they are read as Latin-1 or Windows-1252, and the sign for what could not be read.
_FIRST = "".join(map(chr, (0xC2, 0xC3, 0xE2)))
_SECOND = "".join(map(chr, (*range(0xA0, 0xC0), 0x20AC, 0x201A, 0x201E, 0x2020, 0x2122)))
_LOST = chr(0xFFFD)
_LATIN = 0xFF


def _encoding(asked: Asked, _declaration: Declaration, column: ColumnFacts) -> tuple[str, str]:
    name = quoted(column.name)
    if asked.catalog.dialect == "sqlite":
        parts = [f"{name} GLOB '*[{_FIRST}][{_SECOND}]*'", f"instr({name}, '{_LOST}') > 0"]
    elif asked.catalog.encoding == "UTF8":
        parts = [
            f"{name}::pg_catalog.text ~ '[{_FIRST}][{_SECOND}]'",
            f"strpos({name}::pg_catalog.text, '{_LOST}') > 0",
        ]
    else:
        # Only letters that the database can hold may be asked for.
        second = "".join(letter for letter in _SECOND if ord(letter) <= _LATIN)
        parts = [f"{name}::pg_catalog.text ~ '[{_FIRST}][{second}]'"]
    return f"({' OR '.join(parts)})", "holds text that was decoded wrongly"


def inspect(asked: Asked) -> Inspection:
    """Nothing but declarations."""
    bytes_alone = [each for each in asked.declared if each.encoding and asked.catalog.encoding == "SQL_ASCII"]
    asked = replace(asked, declared=tuple(each for each in asked.declared if each not in bytes_alone))
    found = only_declared(
        asked,
        lambda declaration, column: _encoding(asked, declaration, column),
        advice="Compute the copies anew, and let the database keep them (trigger, generated column, view).",
    )
    unread = [f"{each.table}.{each.column}: the database keeps bytes, not letters (SQL_ASCII)" for each in bytes_alone]
    return replace(found, unread=tuple(unread))


RULE = Rule(
    id="data_consistency",
    name="Data Consistency",
    description="Declared counters, denormalised copies and encodings are right.",
    category="data_integrity",
    severity="warning",
    inspect=inspect,
)
