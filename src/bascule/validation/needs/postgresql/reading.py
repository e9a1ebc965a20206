"""From a statement of PostgreSQL to what it needs."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.statement import Insight, ObjectName, Statement
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.grammar import parse
from bascule.sql.postgres.tree import Node, only, relation, shown, strings
from bascule.validation.needs.need import Need
from bascule.validation.needs.postgresql import (
    check,
    column_type,
    domain,
    exclusion,
    foreign_key,
    new_column,
    not_null,
    partition,
    stored,
    unique,
)
from bascule.validation.needs.postgresql.asking import columns_in
from bascule.validation.needs.postgresql.glance import may_ask
from bascule.validation.needs.postgresql.pieces import Pieces
from bascule.validation.needs.postgresql.world import World, renaming

_OF_ROWS = ("OBJECT_TABLE", "OBJECT_MATVIEW")


def read(world: World, statement: Statement, insight: Insight) -> list[Need]:
    """What it needs; the world has seen it afterwards."""
    found: list[Need] = []
    if insight.kind.startswith(("ALTER ", "CREATE TYPE", "CREATE DOMAIN")) or may_ask(statement, insight):
        found = _of_node(world, statement)
    world.passed(statement, insight)
    return found


def _of_node(world: World, statement: Statement) -> list[Need]:
    try:
        statements = parse(statement.text)["stmts"]
        kind, node = only(statements[0]["stmt"]) if len(statements) == 1 else ("", {})
        return list(_read(world, statement, kind, node))
    except (SqlSyntaxProblem, RecursionError):
        # A server with a newer grammar may take it. What it does is not known, and that is said.
        world.go_blind(f"line {statement.line} cannot be read")
        return []


def _read(world: World, statement: Statement, kind: str, node: Node) -> Iterator[Need]:
    if kind == "AlterTableStmt" and node["objtype"] in _OF_ROWS:
        yield from _alter_table(world, statement, node)
    elif kind == "CreateStmt" and "partbound" in node:
        yield from partition.made(world, statement, node)
    elif kind == "IndexStmt":
        yield from unique.index(world, statement, node)
    elif kind == "AlterDomainStmt":
        world.domains.pop(strings(node["typeName"])[-1], None)
        yield from domain.altered(world, statement, node)
    elif kind in ("CreateEnumStmt", "AlterEnumStmt", "CreateDomainStmt", "CompositeTypeStmt"):
        world.creates_type(kind, node)
        if kind == "CreateDomainStmt" and (breaks := domain.made(world, statement, node)) is not None:
            world.domains[strings(node["domainname"])[-1]] = breaks
    elif (moved := renaming(kind, node)) is not None:
        world.moved(*moved)
    elif kind == "RenameStmt" and node["renameType"] == "OBJECT_COLUMN" and "relation" in node:
        table = relation(node["relation"])
        words = f"line {statement.line} renames {shown(table)}.{node['subname']} to it"
        world.alters_column(table, node["newname"], words)


def _alter_table(world: World, statement: Statement, node: Node) -> Iterator[Need]:
    table = relation(node["relation"])
    commands = [each["AlterTableCmd"] for each in node.get("cmds", [])]
    if world.is_made(table):
        return
    written = Pieces(statement.text).commands()
    if len(written) != len(commands):
        world.go_blind(f"line {statement.line} cannot be read")
        return
    children = bool(node["relation"].get("inh"))
    # The server does them in an order of its own: types, new columns, their attributes, constraints.
    for command, text in sorted(zip(commands, written, strict=True), key=lambda pair: _rank(pair[0])):
        yield from _command(world, statement, table, command, text, children=children)


_ORDER = ("AT_AlterColumnType", "AT_AddColumn", "AT_SetNotNull", "AT_AddConstraint", "AT_ValidateConstraint")


def _rank(command: Node) -> int:
    kind = command["subtype"]
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _command(
    world: World, statement: Statement, table: ObjectName, command: Node, written: Pieces, *, children: bool
) -> Iterator[Need]:
    match command["subtype"]:
        case "AT_SetNotNull":
            yield from not_null.set_not_null(world, statement, table, command["name"], children=children)
        case "AT_AddColumn":
            column, missing = command["def"]["ColumnDef"], bool(command.get("missing_ok"))
            yield from new_column.filled(
                world, statement, table, column, written, only_if_missing=missing, children=children
            )
            yield from not_null.added_column(
                world, statement, table, column, only_if_missing=missing, children=children
            )
        case "AT_AlterColumnType":
            yield from column_type.changed(world, statement, table, command, written, children=children)
        case "AT_AddConstraint":
            yield from _constraint(world, statement, table, command["def"]["Constraint"], written, children=children)
        case "AT_ValidateConstraint":
            yield from stored.validated(world, statement, table, command["name"], _again)
        case "AT_SetExpression":
            yield from new_column.computed_anew(world, statement, table, command, written, children=children)
        case "AT_AttachPartition":
            yield from partition.attached(world, statement, table, command["def"]["PartitionCmd"], written)
            world.go_blind(f"{world.migration}, line {statement.line} changes which rows {shown(table)} has")
        case "AT_DetachPartition" | "AT_AddInherit" | "AT_DropInherit":
            words = f"{world.migration}, line {statement.line} changes which rows {shown(table)} has"
            world.go_blind(words)


def _constraint(
    world: World, statement: Statement, table: ObjectName, node: Node, written: Pieces, *, children: bool
) -> Iterator[Need]:
    """A constraint of the table; one that is NOT VALID needs nothing before it is validated."""
    kind = node["contype"]

    def asked(statement: Statement) -> list[Need]:
        match kind:
            case "CONSTR_PRIMARY" | "CONSTR_UNIQUE":
                return list(unique.constraint(world, statement, table, node, children=children))
            case "CONSTR_CHECK" if node.get("is_enforced"):
                return list(check.constraint(world, statement, table, node, written, children=children))
            case "CONSTR_FOREIGN" if node.get("is_enforced"):
                return list(foreign_key.constraint(world, statement, table, node))
            case "CONSTR_EXCLUSION":
                return list(exclusion.constraint(world, statement, table, node, written))
            case "CONSTR_NOTNULL":
                column = strings(node["keys"])[0]
                return list(not_null.set_not_null(world, statement, table, column, children=children))
        return []

    if node.get("skip_validation"):
        world.later[table.name, _name_of(table, node)] = asked
    else:
        yield from asked(statement)


def _name_of(table: ObjectName, node: Node) -> str:
    """Its own, or the one that the server gives a foreign key or a check of it."""
    if node["contype"] == "CONSTR_CHECK" and "conname" not in node:
        columns = set(columns_in(node.get("raw_expr")))
        return "_".join((table.name, *(columns if len(columns) == 1 else ()), "check"))
    return node.get("conname") or "_".join((table.name, *strings(node.get("fk_attrs", [])), "fkey"))


def _again(world: World, statement: Statement) -> list[Need]:
    return _of_node(world, statement)
