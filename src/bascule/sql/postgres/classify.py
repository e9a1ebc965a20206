"""One PostgreSQL statement to what is known of it before it runs."""

from __future__ import annotations

import re

from bascule.domain.statement import Insight, Statement
from bascule.sql import grammar
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.postgres import data, definitions, named, server, session, tables
from bascule.sql.postgres.tree import Handler
from bascule.sql.postgres.words import by_words

_NODE = re.compile(r'^\{"version":\d+,"stmts":\[\{"stmt":\{"(\w+)"')
_ROWS = frozenset(("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"))

_HANDLERS: dict[str, Handler] = {
    **data.HANDLERS,
    **definitions.HANDLERS,
    **named.HANDLERS,
    **server.HANDLERS,
    **session.HANDLERS,
    **tables.HANDLERS,
}


def inspect_postgresql(statement: Statement) -> Insight:
    """What a statement is, what it touches, and whether a transaction can hold it.

    Never raises for a statement that the grammar does not know: the server may be newer than it.
    """
    try:
        raw = grammar.parse_raw(statement.text)
        node_name = _NODE.match(raw)
        if node_name is not None and node_name[1] in _ROWS:
            return data.rows(node_name[1], statement, raw)
        return _by_tree(statement, raw)
    except SqlSyntaxProblem:
        release = grammar.version().removeprefix("libpg_query ").partition(".")[0]
        return by_words(statement, f"the grammar of PostgreSQL {release} does not know this statement")
    except RecursionError:
        return by_words(statement, "this statement is nested too deep for parsing to follow")
    except OSError as error:
        return by_words(statement, f"PostgreSQL's grammar cannot be loaded ({error})")


def _by_tree(statement: Statement, raw: str) -> Insight:
    import json

    parsed = json.loads(raw)["stmts"]
    if len(parsed) != 1:
        return by_words(statement, f"PostgreSQL's grammar reads {len(parsed)} statements in this one")
    node_name, node = next(iter(parsed[0]["stmt"].items()))
    if (handler := _HANDLERS.get(node_name)) is None:
        return by_words(statement, f"statements of this kind ({node_name}) are not followed")
    return handler(node, statement, raw)
