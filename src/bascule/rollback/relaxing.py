"""A down script that brings a column back as NOT NULL, into a table with rows, fails: it knows no values. Where they
are kept, the column comes back without NOT NULL first, then its values, then NOT NULL.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from bascule.domain.statement import Statement

_FILLS = frozenset(("CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED", "CONSTR_PRIMARY"))
_SERIALS = frozenset(("serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """A statement of PostgreSQL without NOT NULL for columns of which the values are kept."""

    statement: Statement
    then: tuple[str, ...]
    """What is to run when the values are there."""


def relaxed(statement: Statement, kept: Collection[tuple[str, str]]) -> Relaxed | None:
    """None where the statement says nothing of that sort. `kept`: tables and columns of which values are kept."""
    if "null" not in statement.text.lower():
        return None
    from bascule.sql import grammar
    from bascule.sql.errors import SqlSyntaxProblem

    try:
        parsed = grammar.parse(statement.text)["stmts"]
    except (SqlSyntaxProblem, RecursionError, OSError):
        return None
    node = parsed[0]["stmt"].get("AlterTableStmt") if len(parsed) == 1 else None
    if node is None or node["objtype"] != "OBJECT_TABLE":
        return None
    table = node["relation"]
    name = ".".join(_quoted(part) for part in (table.get("schemaname"), table["relname"]) if part is not None)
    text, then = statement.text.encode(), []
    for column, at in sorted(_required(node, table["relname"], kept), key=lambda each: -each[1]):
        cut = _without_not_null(text, at)
        if cut is not None:
            text = cut
            then.append(f"ALTER TABLE {name} ALTER COLUMN {_quoted(column)} SET NOT NULL")
    return Relaxed(statement=replace(statement, text=text.decode()), then=tuple(then)) if then else None


def _required(node: dict[str, Any], table: str, kept: Collection[tuple[str, str]]) -> Iterator[tuple[str, int]]:
    """Columns that nothing fills, and where in the text (in bytes) their NOT NULL stands."""
    for wrapped in node.get("cmds", []):
        command = wrapped["AlterTableCmd"]
        if command["subtype"] != "AT_AddColumn":
            continue
        definition = command["def"]["ColumnDef"]
        column = definition["colname"]
        constraints = [each["Constraint"] for each in definition.get("constraints", [])]
        kinds = {each["contype"] for each in constraints}
        names = {each["String"].get("sval", "") for each in definition["typeName"]["names"]}
        if (table, column) not in kept or kinds & _FILLS or names & _SERIALS:
            continue
        for constraint in constraints:
            if constraint["contype"] == "CONSTR_NOTNULL" and "conname" not in constraint:
                yield column, constraint.get("location", 0)


def _without_not_null(text: bytes, at: int) -> bytes | None:
    """The two words taken out, whatever stands between them."""
    from bascule.sql.lexer import fold, significant

    rest = text[at:].decode()
    tokens = significant(rest, "postgresql")
    words = [next(tokens, None), next(tokens, None)]
    if any(word is None for word in words):
        return None
    found = [fold(rest[word[1] : word[2]]) for word in words if word is not None]
    last = words[1]
    if found != ["not", "null"] or last is None:
        return None
    return text[:at] + rest[last[2] :].encode()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
