"""What a script's statements give a name to: what they make beside tables, and a rollback may have to take away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bascule.domain.statement import Statement

Made = frozenset[tuple[str, str]]
"""Kind (``index``, ``constraint``, ``trigger``, ``function``, ``extension``, ``table``) and name, without schema, as
PostgreSQL folds it."""

_MAKES = ("create", "add")


def made_by(statements: Iterable[Statement]) -> Made:
    """Of PostgreSQL's statements; what does not parse makes nothing that is known."""
    return frozenset(found for statement in statements for found in _made(statement))


def _made(statement: Statement) -> Iterator[tuple[str, str]]:
    lowered = statement.text.lower()
    if not any(word in lowered for word in _MAKES):
        return
    from bascule.sql import grammar
    from bascule.sql.errors import SqlSyntaxProblem

    try:
        parsed = grammar.parse(statement.text)["stmts"]
    except (SqlSyntaxProblem, RecursionError, OSError):
        return
    for each in parsed:
        kind, node = next(iter(each["stmt"].items()))
        yield from _of_node(kind, node)


def _of_node(kind: str, node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if kind == "IndexStmt" and "idxname" in node:
        yield "index", node["idxname"]
    elif kind == "CreateStmt":
        yield "table", node["relation"]["relname"]
    elif kind == "CreateExtensionStmt":
        yield "extension", node["extname"]
    elif kind == "CreateTrigStmt":
        yield "trigger", node["trigname"]
    elif kind == "CreateFunctionStmt":
        yield "function", node["funcname"][-1]["String"].get("sval", "")
    elif kind == "AlterTableStmt":
        for wrapped in node.get("cmds", []):
            constraint = wrapped["AlterTableCmd"].get("def", {}).get("Constraint", {})
            if wrapped["AlterTableCmd"]["subtype"] == "AT_AddConstraint" and "conname" in constraint:
                yield "constraint", constraint["conname"]
