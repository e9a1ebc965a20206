"""Statements about rows: SELECT, INSERT, UPDATE, DELETE, MERGE, COPY, TRUNCATE, EXPLAIN.

They are read from the JSON text of the tree, as `calls` does: a file of data may be one INSERT of many megabytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bascule.domain.statement import Insight, ObjectName, Statement, Touch
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold, significant
from bascule.sql.postgres.calls import calls, unknown_calls
from bascule.sql.postgres.functions import SESSION
from bascule.sql.postgres.tree import (
    Handler,
    Node,
    everything,
    in_temporary_schema,
    listed,
    objects,
    option,
    relation,
    shown,
    switched_on,
)

_TEXT = r'"(?:[^"\\]|\\.)*+"'
_RANGE_VAR = (
    rf'\{{(?:"catalogname":{_TEXT},)?(?:"schemaname":({_TEXT}),)?"relname":({_TEXT})'
    r'(?:,"inh":true)?(?:,"relpersistence":"(.)")?'
)
_CHANGES = re.compile(rf'"(InsertStmt|UpdateStmt|DeleteStmt|MergeStmt)":\{{"relation":{_RANGE_VAR}')
_INTO = re.compile(rf'"intoClause":\{{"rel":{_RANGE_VAR}')
_MERGE_OVERWRITES = re.compile(r'"MergeWhenClause":\{[^{}]*"commandType":"CMD_(?:UPDATE|DELETE)"')
_ON_CONFLICT_UPDATE = '"onConflictClause":{"action":"ONCONFLICT_UPDATE"'
_SET_CONFIG = re.compile(
    r'"FuncCall":\{"funcname":\[(?:\{"String":\{"sval":"pg_catalog"\}\},)?\{"String":\{"sval":"set_config"\}\}\],'
    rf'"args":\[\{{"A_Const":\{{"sval":\{{(?:"sval":({_TEXT}))?\}},[^{{}}]*\}}\}},'
    rf'\{{"A_Const":\{{"sval":\{{(?:"sval":({_TEXT}))?\}},[^{{}}]*\}}\}},'
    r'\{"A_Const":\{"boolval":\{("boolval":true)?\}'
)
_WRITES_CATALOG = "writes to PostgreSQL's own catalog, and parsing cannot see which objects that changes"
_VERBS = {"InsertStmt": "INSERT", "UpdateStmt": "UPDATE", "DeleteStmt": "DELETE", "MergeStmt": "MERGE"}


def rows(node_name: str, statement: Statement, raw: str) -> Insight:
    """What a SELECT, INSERT, UPDATE, DELETE or MERGE does, data-changing WITH queries inside it included."""
    called = calls(raw)
    touch = unknown_calls(raw, statement) if called else Touch()
    into = _INTO.search(raw)
    temporary = into is not None and (into[3] == "t" or in_temporary_schema(_name(into, 1).schema))
    if into is not None and not temporary:
        touch |= objects(_name(into, 1))
    session, path, unread = _session_calls(called, statement, raw)
    changes = list(_CHANGES.finditer(raw))
    if changes:
        touch |= _written(changes, statement)
    return Insight(
        kind=_VERBS.get(node_name) or ("SELECT" if into is None else "SELECT INTO"),
        transactional=True,
        session=session,
        search_path=path,
        temporary=temporary,
        touch=touch | unread,
        destroys=_destroyed(changes, raw),
    )


def _explain(node: Node, statement: Statement, raw: str) -> Insight:
    """EXPLAIN runs the statement only with ANALYZE."""
    if not switched_on(option(node.get("options", []), "analyze")):
        return Insight(kind="EXPLAIN", transactional=True)
    changes = list(_CHANGES.finditer(raw))
    touch = unknown_calls(raw, statement) | _written(changes, statement)
    if node["query"].keys() & {"CreateTableAsStmt", "ExecuteStmt"}:
        touch |= everything(statement, "EXPLAIN ANALYZE runs a statement that may change more than rows")
    return Insight(kind="EXPLAIN ANALYZE", transactional=True, touch=touch, destroys=_destroyed(changes, raw))


def _copy(node: Node, statement: Statement, raw: str) -> Insight:
    changes = list(_CHANGES.finditer(raw))
    touch = unknown_calls(raw, statement) | _written(changes, statement)
    if node.get("is_from"):
        table = relation(node["relation"])
        touch |= everything(statement, _WRITES_CATALOG) if is_catalog(table) else Touch(runs=frozenset((table,)))
    if node.get("is_program"):
        touch |= Touch(unseen=(f"line {statement.line}: COPY runs a program of the server, which may change anything",))
    return Insight(kind="COPY", transactional=True, touch=touch, destroys=_destroyed(changes, raw), progress="copy")


def _truncate(node: Node, statement: Statement, raw: str) -> Insight:
    emptied = [relation(wrapped["RangeVar"]) for wrapped in node["relations"]]
    others = " and every table that refers to them" if node["behavior"] == "DROP_CASCADE" else ""
    touch = Touch(runs=frozenset(emptied))
    return Insight(kind="TRUNCATE", transactional=True, touch=touch, destroys=f"empties {listed(emptied)}{others}")


HANDLERS: dict[str, Handler] = {"ExplainStmt": _explain, "CopyStmt": _copy, "TruncateStmt": _truncate}


def is_catalog(name: ObjectName) -> bool:
    """Whether a table is one of PostgreSQL's own, whose rows are the schema."""
    return name.schema == "pg_catalog" or (name.schema is None and name.name.startswith("pg_"))


def _written(changes: Sequence[re.Match[str]], statement: Statement) -> Touch:
    """The tables whose triggers fire; everything, where one of them is PostgreSQL's own."""
    tables = frozenset(_name(found, 2) for found in changes)
    touch = Touch(runs=tables)
    return touch | everything(statement, _WRITES_CATALOG) if any(map(is_catalog, tables)) else touch


def read_path(value: str) -> tuple[str, ...] | None:
    """The schemas of a search path as ``set_config`` takes it, folded; None where it cannot be read."""
    try:
        tokens = list(significant(value, "postgresql"))
    except SqlSyntaxProblem:
        return None
    schemas: list[str] = []
    for kind, start, end in tokens:
        token = value[start:end]
        if kind == "quoted":
            schemas.append(token[1:-1].replace('""', '"'))
        elif kind == "word":
            schemas.append(fold(token))
        elif token != ",":
            return None
    return tuple(schemas)


def _session_calls(
    called: tuple[tuple[str, ...], ...], statement: Statement, raw: str
) -> tuple[bool, tuple[str, ...] | None, Touch]:
    """Whether a function leaves something in the session, the search path it sets, and what cannot be read of that."""
    names = {name[-1] for name in called}
    if "set_config" not in names:
        return not names.isdisjoint(SESSION), None, Touch()
    settings = [(_text(found[1]), _text(found[2]), found[3] is not None) for found in _SET_CONFIG.finditer(raw)]
    # A call with anything but constants matches no pattern: its name may be search_path, and its last argument false.
    if len(settings) != raw.count('{"String":{"sval":"set_config"}}],"args":'):
        return True, None, everything(statement, "set_config() may set the search path to what parsing cannot see")
    lasting = any(not local for _, _, local in settings) or not names.isdisjoint(SESSION)
    paths = [read_path(value) for name, value, _ in settings if name.lower() == "search_path"]
    if None in paths:
        return lasting, None, everything(statement, "set_config() sets a search path that parsing cannot read")
    return lasting, paths[-1] if paths else None, Touch()


def _destroyed(changes: Sequence[re.Match[str]], raw: str) -> str | None:
    return "; ".join(dict.fromkeys(_lost_rows(changes, raw))) or None


def _lost_rows(changes: Sequence[re.Match[str]], raw: str) -> Iterator[str]:
    for found in changes:
        table = shown(_name(found, 2))
        if found[1] == "DeleteStmt":
            yield f"deletes rows of {table}"
        elif found[1] == "UpdateStmt":
            yield f"overwrites values in {table}"
        elif found[1] == "InsertStmt" and _ON_CONFLICT_UPDATE in raw:
            yield f"overwrites rows of {table} that are there already"
        elif found[1] == "MergeStmt" and _MERGE_OVERWRITES.search(raw):
            yield f"overwrites or deletes rows of {table}"


def _name(found: re.Match[str], first: int) -> ObjectName:
    schema = found[first]
    return ObjectName(kind="relation", name=_text(found[first + 1]), schema=None if schema is None else _text(schema))


def _text(literal: str | None) -> str:
    import json

    return "" if literal is None else str(json.loads(literal))
