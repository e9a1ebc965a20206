"""A statement and its parameters, as a driver would be given them, to one text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bascule.databases.operations.literals import literal
from bascule.domain.statement import Dialect
from bascule.sql.lexer import scan

_PSYCOPG_PLACEHOLDER = re.compile(r"%(?:(?P<percent>%)|\((?P<name>[^)]*)\)[sbt]|[sbt])")


def with_values(sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None, dialect: Dialect) -> str:
    """`sql` with each placeholder replaced by its value's literal. Parameters None: `sql` as it stands.

    Raises TypeError or ValueError for a value that cannot be written as a literal, LookupError for one that is missing.
    """
    if parameters is None:
        return sql
    values = _Values(parameters, dialect)
    return _for_psycopg(sql, values) if dialect == "postgresql" else _for_sqlite(sql, values)


class _Values:
    """Parameters by name, by number, or one after the other."""

    def __init__(self, parameters: Mapping[str, Any] | Sequence[Any], dialect: Dialect) -> None:
        self._parameters = parameters
        self._dialect = dialect
        self._used = 0

    def named(self, name: str) -> str:
        if not isinstance(self._parameters, Mapping):
            raise LookupError(f"the statement has a placeholder named {name}, but its values have no names")
        return self._literal(self._parameters[name])

    def numbered(self, number: int) -> str:
        if isinstance(self._parameters, Mapping):
            raise LookupError("the statement has placeholders without names, but its values have names")
        return self._literal(self._parameters[number - 1])

    def next(self) -> str:
        self._used += 1
        return self.numbered(self._used)

    def _literal(self, value: object) -> str:
        try:
            return literal(value, self._dialect)
        except TypeError:
            if self._dialect != "postgresql":
                raise
        # The driver's own wrappers (JSON, ranges) and arrays: only it knows how to write them.
        from psycopg.sql import Literal

        return Literal(value).as_string(None)


def _for_psycopg(sql: str, values: _Values) -> str:
    def replace(found: re.Match[str]) -> str:
        if found["percent"]:
            return "%"
        return values.next() if found["name"] is None else values.named(found["name"])

    return _PSYCOPG_PLACEHOLDER.sub(replace, sql)


def _for_sqlite(sql: str, values: _Values) -> str:
    pieces = []
    for kind, start, end in scan(sql, "sqlite"):
        token = sql[start:end]
        if kind != "parameter":
            pieces.append(token)
        elif token == "?":
            pieces.append(values.next())
        elif token[0] == "?":
            pieces.append(values.numbered(int(token[1:])))
        else:
            pieces.append(values.named(token[1:]))
    return "".join(pieces)
