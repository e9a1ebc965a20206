"""Statements that undo others, proved by parsing: a closed list of forms.

Each makes something new under a name that it gives itself, or gives a name to what had another: undoing it needs
nothing but the statement. Whatever says IF NOT EXISTS or OR REPLACE may have found something there, and has no inverse.

| statement | inverse |
| --- | --- |
| CREATE TABLE, VIEW, MATERIALIZED VIEW, SEQUENCE, SCHEMA, TYPE … AS ENUM, DOMAIN | DROP |
| CREATE INDEX with a name, not CONCURRENTLY | DROP INDEX |
| ALTER TABLE … ADD COLUMN | DROP COLUMN |
| ALTER TABLE … ADD CONSTRAINT with a name | DROP CONSTRAINT |
| ALTER TABLE … RENAME, RENAME COLUMN | RENAME back |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bascule.domain.migration import Migration, Script
from bascule.domain.statement import Dialect, Statement


def is_wanted(migration: Migration) -> bool:
    """The author wrote no way back, and did not say that there is none."""
    up = migration.up
    return migration.down is None and migration.irreversible is None and up.language == "sql" and not up.empty


def inverse_script(migration: Migration, statements: Sequence[Statement], dialect: Dialect) -> Script | None:
    """A down script for a migration of these statements, where one is wanted and parsing proves it."""
    found = inverse_of(statements, dialect) if is_wanted(migration) else None
    if found is None:
        return None
    path = f"{migration.up.path} (its way back, proved by parsing)"
    return replace(migration.up, text="".join(f"{each};\n" for each in found), transaction=True, path=path)


def inverse_of(statements: Sequence[Statement], dialect: Dialect) -> tuple[str, ...] | None:
    """What undoes all of them, in the order in which it runs; None where one of them is not on the list."""
    found: list[str] = []
    for statement in statements:
        one = inverse(statement, dialect)
        if one is None:
            return None
        found = [*one, *found]
    return tuple(found)


def inverse(statement: Statement, dialect: Dialect) -> tuple[str, ...] | None:
    """What undoes one statement; None where it is not on the list."""
    if dialect == "sqlite":
        return _sqlite(statement)
    from bascule.sql import grammar
    from bascule.sql.errors import SqlSyntaxProblem

    try:
        parsed = grammar.parse(statement.text)["stmts"]
    except (SqlSyntaxProblem, RecursionError, OSError):
        return None
    if len(parsed) != 1:
        return None
    kind, node = next(iter(parsed[0]["stmt"].items()))
    if node.get("if_not_exists") or node.get("replace") or node.get("missing_ok"):
        return None
    found = list(_postgresql(kind, node))
    return tuple(found) if found and None not in found else None  # type: ignore[arg-type]


def _postgresql(kind: str, node: dict[str, Any]) -> Iterator[str | None]:
    if kind == "CreateStmt" and "partbound" not in node:
        yield _drop("TABLE", node["relation"])
    elif kind == "ViewStmt":
        yield _drop("VIEW", node["view"])
    elif kind == "CreateTableAsStmt":
        word = "MATERIALIZED VIEW" if node["objtype"] == "OBJECT_MATVIEW" else "TABLE"
        yield None if "ExecuteStmt" in node["query"] else _drop(word, node["into"]["rel"])
    elif kind == "CreateSeqStmt":
        yield None if node.get("ownerId") else _drop("SEQUENCE", node["sequence"])
    elif kind == "CreateSchemaStmt":
        yield None if "schemaElts" in node or "schemaname" not in node else f"DROP SCHEMA {_quoted(node['schemaname'])}"
    elif kind in ("CreateEnumStmt", "CreateDomainStmt"):
        word, names = ("TYPE", "typeName") if kind == "CreateEnumStmt" else ("DOMAIN", "domainname")
        yield f"DROP {word} {'.'.join(_quoted(each['String'].get('sval', '')) for each in node[names])}"
    elif kind == "IndexStmt":
        yield _index(node)
    elif kind == "RenameStmt":
        yield _renamed(node)
    elif kind == "AlterTableStmt" and node["objtype"] == "OBJECT_TABLE":
        for wrapped in reversed(node.get("cmds", [])):
            yield _altered(_table(node["relation"]), wrapped["AlterTableCmd"])


def _drop(word: str, relation: dict[str, Any]) -> str | None:
    return None if relation.get("relpersistence") == "t" else f"DROP {word} {_table(relation)}"


def _index(node: dict[str, Any]) -> str | None:
    if "idxname" not in node or node.get("concurrent"):
        return None
    schema = node["relation"].get("schemaname")
    name = ".".join(_quoted(part) for part in (schema, node["idxname"]) if part is not None)
    return f"DROP INDEX {name}"


def _renamed(node: dict[str, Any]) -> str | None:
    if "relation" not in node:
        return None
    relation, new = node["relation"], node["newname"]
    if node["renameType"] == "OBJECT_TABLE":
        return f"ALTER TABLE {_table(relation | {'relname': new})} RENAME TO {_quoted(relation['relname'])}"
    if node["renameType"] == "OBJECT_COLUMN" and node.get("relationType") == "OBJECT_TABLE":
        return f"ALTER TABLE {_table(relation)} RENAME COLUMN {_quoted(new)} TO {_quoted(node['subname'])}"
    return None


def _altered(table: str, command: dict[str, Any]) -> str | None:
    if command.get("missing_ok"):
        return None
    if command["subtype"] == "AT_AddColumn":
        return f"ALTER TABLE {table} DROP COLUMN {_quoted(command['def']['ColumnDef']['colname'])}"
    constraint = command.get("def", {}).get("Constraint", {})
    if command["subtype"] == "AT_AddConstraint" and "conname" in constraint and "indexname" not in constraint:
        # A primary key makes its columns NOT NULL, which dropping it leaves so.
        if constraint["contype"] in ("CONSTR_PRIMARY", "CONSTR_NOTNULL"):
            return None
        return f"ALTER TABLE {table} DROP CONSTRAINT {_quoted(constraint['conname'])}"
    return None


def _table(relation: dict[str, Any]) -> str:
    parts = (relation.get("schemaname"), relation["relname"])
    return ".".join(_quoted(part) for part in parts if part is not None)


def _sqlite(statement: Statement) -> tuple[str, ...] | None:
    from bascule.sql.errors import SqlSyntaxProblem
    from bascule.sql.sqlite.words import Words

    try:
        words = Words(statement.text)
    except SqlSyntaxProblem:
        return None
    if words.take("create"):
        words.take("unique")
        kind = words.take_any("table", "index", "view", "trigger")
        if not kind or words.peek() == "if":
            return None
        made = words.relation()
        return (f"DROP {kind.upper()} {_named(made.schema, made.name)}",)
    if not words.take("alter", "table"):
        return None
    table = words.relation()
    if words.take("add"):
        words.take("column")
        return (f"ALTER TABLE {_named(table.schema, table.name)} DROP COLUMN {_quoted(words.name())}",)
    if words.take("rename", "to"):
        return (f"ALTER TABLE {_named(table.schema, words.name())} RENAME TO {_quoted(table.name)}",)
    return None


def _named(schema: str | None, name: str) -> str:
    return ".".join(_quoted(part) for part in (schema, name) if part is not None)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
