"""What one destroying statement says of itself: which table, which columns, which rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bascule.domain.preimage import KeepKind
from bascule.domain.statement import Dialect, Insight, Statement
from bascule.rollback.rows_verdict import TRUNCATES_MORE

_PLAIN_NODES = re.compile(
    "A_Expr|BoolExpr|NullTest|BooleanTest|ColumnRef|A_Const|TypeCast|TypeName|String|List|CoalesceExpr|A_ArrayExpr"
    "|Integer|MinMaxExpr|CaseExpr|CaseWhen"
)
_PLAIN_FUNCTIONS = re.compile(
    "lower|upper|length|char_length|[blr]trim|abs|now|date_trunc|left|right|strpos|substring|replace|mod|round|floor|ceil"
    "|like_escape"
)

_NAMED_ALONE = {
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_MATVIEW": "materialized view",
    "OBJECT_FOREIGN_TABLE": "foreign table",
}
"""What a DROP takes away of which nothing is kept; one that the same script has made is nobody's loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One table of which something is destroyed. The fields are those of `Keep`."""

    kind: KeepKind
    name: str
    schema: str | None = None
    columns: tuple[str, ...] = ()
    where: str | None = None
    alias: str | None = None
    why: str | None = None
    words: str | None = None


def read_destroying(statement: Statement, insight: Insight, dialect: Dialect) -> Iterator[Read]:
    """What a statement with `Insight.destroys` destroys; what cannot be told is given with the reason."""
    found = list(_sqlite(statement, insight) if dialect == "sqlite" else _postgresql(statement))
    if found:
        yield from found
    else:
        yield Read(kind="table", name="", why=f"what {insight.kind} takes away is not followed")


def made(statement: Statement, insight: Insight, dialect: Dialect) -> tuple[set[str], set[tuple[str, str]]]:
    """Tables, and columns of tables, that a statement makes."""
    if insight.kind in (
        "CREATE TABLE",
        "CREATE TABLE AS",
        "SELECT INTO",
        "CREATE SEQUENCE",
        "CREATE MATERIALIZED VIEW",
    ):
        if re.match(r"create\s[^(]*?\bif\s+not\s+exists\b", statement.text, re.IGNORECASE):
            return set(), set()
        return {each.name for each in insight.touch.objects if _is_made(statement.text, each.name)}, set()
    if insight.kind == "ALTER TABLE":
        if dialect == "sqlite":
            return set(), _added_sqlite(statement)
        return set(), {(each.name, each.column) for each in insight.touch.objects if each.column}
    return set(), set()


def _is_made(text: str, name: str) -> bool:
    """Among the tables that a CREATE TABLE names, the one that it makes stands before the first parenthesis."""
    head = re.split(r"\(|\bas\b", text, maxsplit=1, flags=re.IGNORECASE)[0]
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", head, re.IGNORECASE) is not None


# PostgreSQL


def _postgresql(statement: Statement) -> Iterator[Read]:
    from bascule.sql import grammar
    from bascule.sql.errors import SqlSyntaxProblem

    try:
        parsed = grammar.parse(statement.text)["stmts"]
    except (SqlSyntaxProblem, RecursionError, OSError):
        return
    if len(parsed) != 1:
        return
    kind, node = next(iter(parsed[0]["stmt"].items()))
    if kind == "AlterTableStmt" and node["objtype"] == "OBJECT_TABLE":
        yield from _altered(node)
    elif kind == "DropStmt" and node["removeType"] == "OBJECT_TABLE":
        for named in node["objects"]:
            parts = [each["String"].get("sval", "") for each in named["List"]["items"]]
            name, schema = parts[-1], parts[-2] if len(parts) > 1 else None
            yield Read(kind="table", name=name, schema=schema, words=f"drops table {_shown(schema, name)}")
    elif kind == "DropStmt" and node["removeType"] in _NAMED_ALONE:
        for named in node["objects"]:
            parts = [each["String"].get("sval", "") for each in named["List"]["items"]]
            name, schema = parts[-1], parts[-2] if len(parts) > 1 else None
            what = _NAMED_ALONE[node["removeType"]]
            why = f"what {what} holds is not followed"
            yield Read(kind="table", name=name, schema=schema, words=f"drops {what} {_shown(schema, name)}", why=why)
    elif kind == "TruncateStmt":
        for named in node["relations"]:
            yield _of(named["RangeVar"], "table", words="empties")
        if node["behavior"] == "DROP_CASCADE":
            yield Read(kind="table", name="", why=TRUNCATES_MORE)
    elif kind in ("UpdateStmt", "DeleteStmt", "InsertStmt"):
        yield from _rows(kind, node, statement.text)


def _altered(node: dict[str, Any]) -> Iterator[Read]:
    commands = [each["AlterTableCmd"] for each in node.get("cmds", [])]
    for subtype, kind, verb in (
        ("AT_DropColumn", "columns", "drops column"),
        ("AT_AlterColumnType", "retype", "converts column"),
    ):
        columns = tuple(each["name"] for each in commands if each["subtype"] == subtype)
        if columns:
            read = _of(node["relation"], kind)  # type: ignore[arg-type]
            table = _shown(read.schema, read.name)
            words = f"{verb} " + ", ".join(f"{table}.{_quoted(each)}" for each in columns)
            yield Read(kind=read.kind, name=read.name, schema=read.schema, columns=columns, words=words)


def _rows(kind: str, node: dict[str, Any], text: str) -> Iterator[Read]:
    table = node["relation"]
    if "withClause" in node and _changes_rows(node["withClause"]):
        yield _of(table, "update", why="a WITH query changes rows too")
        return
    alias = table.get("alias", {}).get("aliasname")
    plain = not node.keys() & {"withClause", "fromClause", "usingClause"} and _is_plain(node.get("whereClause"))
    where = _condition(text) if plain and "whereClause" in node else None
    if kind == "DeleteStmt":
        yield _of(table, "delete", words="deletes rows of", where=where, alias=alias)
    elif kind == "UpdateStmt":
        columns = _targets(node["targetList"])
        yield _of(table, "update", words="overwrites values in", columns=columns, where=where, alias=alias)
    elif node.get("onConflictClause", {}).get("action") == "ONCONFLICT_UPDATE":
        columns = _targets(node["onConflictClause"]["targetList"])
        yield _of(table, "update", words="overwrites rows that are there already of", columns=columns)


def _of(table: dict[str, Any], kind: KeepKind, *, words: str | None = None, **parts: Any) -> Read:
    name, schema = table["relname"], table.get("schemaname")
    told = None if words is None else f"{words} {_shown(schema, name)}"
    return Read(kind=kind, name=name, schema=schema, words=told, **parts)


def _targets(nodes: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each["ResTarget"]["name"] for each in nodes))


def _changes_rows(node: Any) -> bool:
    return any(kind in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt") for kind, _ in _nodes(node))


def _is_plain(node: Any) -> bool:
    """The condition says the same of a row whenever it is asked, and asks nothing but the row."""
    for kind, inner in _nodes(node):
        if kind == "FuncCall":
            names = [each["String"].get("sval", "") for each in inner["funcname"]]
            if _PLAIN_FUNCTIONS.fullmatch(names[-1]) is None or (len(names) > 1 and names[0] != "pg_catalog"):
                return False
        elif _PLAIN_NODES.fullmatch(kind) is None:
            return False
    return True


def _nodes(node: Any) -> Iterator[tuple[str, Any]]:
    """The nodes below, with their kinds, which alone begin with a capital."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key[:1].isupper():
                yield key, value
            yield from _nodes(value)
    elif isinstance(node, list):
        for each in node:
            yield from _nodes(each)


def _condition(text: str) -> str | None:
    """What stands behind the outermost WHERE, up to RETURNING."""
    from bascule.sql.lexer import fold, significant

    depth = 0
    begin = end = None
    for kind, left, right in significant(text, "postgresql"):
        token = text[left:right]
        depth += (token in ("(", "[")) - (token in (")", "]"))
        if depth or kind != "word":
            continue
        if fold(token) == "where":
            begin, end = right, None
        elif fold(token) == "returning" and begin is not None:
            end = left
    return None if begin is None else text[begin:end].strip()


def _shown(schema: str | None, name: str) -> str:
    return ".".join(_quoted(part) for part in (schema, name) if part is not None)


def _quoted(part: str) -> str:
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", part) is not None
    return part if plain else '"' + part.replace('"', '""') + '"'


# SQLite


def _sqlite(statement: Statement, insight: Insight) -> Iterator[Read]:
    from bascule.sql.sqlite.words import Words

    words = Words(statement.text)
    if insight.kind == "ALTER TABLE":
        words.take("alter", "table")
        table = words.relation()
        words.take("drop")
        words.take("column")
        yield Read(
            kind="columns", name=table.name, schema=table.schema, columns=(words.name(),), words=insight.destroys
        )
    elif insight.kind == "DROP TABLE":
        words.take("drop", "table")
        words.take("if", "exists")
        table = words.relation()
        yield Read(kind="table", name=table.name, schema=table.schema, words=insight.destroys)
    elif insight.kind in ("UPDATE", "DELETE", "INSERT"):
        verb = words.skip_to("insert", "replace", "update", "delete")
        words.take_any(verb)
        if words.take("or"):
            words.take_any("abort", "fail", "ignore", "replace", "rollback")
        words.take_any("into", "from")
        table = words.relation()
        kind: KeepKind = "delete" if verb == "delete" else "update"
        yield Read(kind=kind, name=table.name, schema=table.schema, words=insight.destroys)


def _added_sqlite(statement: Statement) -> set[tuple[str, str]]:
    from bascule.sql.sqlite.words import Words

    words = Words(statement.text)
    words.take("alter", "table")
    table = words.relation()
    if not words.take("add"):
        return set()
    words.take("column")
    return {(table.name, words.name())}
