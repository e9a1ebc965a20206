"""Tables, indexes, views, sequences, and what hangs on them: triggers, rules, policies."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.domain.statement import Effect, Insight, ObjectName, Statement, Touch
from bascule.sql.postgres.calls import unknown_calls
from bascule.sql.postgres.named import object_words
from bascule.sql.postgres.tree import (
    Handler,
    Node,
    column_of,
    everything,
    is_temporary,
    items,
    objects,
    option,
    qualified,
    quoted,
    relation,
    shown,
    strings,
)

# CREATE TABLE


def _create_table(node: Node, statement: Statement, raw: str) -> Insight:
    return Insight(
        kind="CREATE TABLE",
        transactional=True,
        temporary=is_temporary(node["relation"]),
        touch=created_table(node) | _partition_bound_calls(node, statement, raw),
    )


def _create_foreign_table(node: Node, statement: Statement, raw: str) -> Insight:
    return Insight(kind="CREATE FOREIGN TABLE", transactional=True, touch=created_table(node["base"]))


def created_table(node: Node) -> Touch:
    """The new table (unless the session alone sees it), its parents, and the tables that it refers to."""
    names = [relation(parent["RangeVar"]) for parent in node.get("inhRelations", [])]
    names += _referenced(node.get("tableElts", []))
    if not is_temporary(node["relation"]):
        names.append(relation(node["relation"]))
    return objects(*names)


def _partition_bound_calls(node: Node, statement: Statement, raw: str) -> Touch:
    """Defaults and checks of a new table run nothing yet, the bound of a partition is computed at once."""
    return unknown_calls(raw, statement) if "partbound" in node else Touch()


def _referenced(elements: list[Node]) -> Iterator[ObjectName]:
    """The tables to which the foreign keys among columns and constraints refer."""
    for element in elements:
        if "ColumnDef" in element:
            yield from _referenced(element["ColumnDef"].get("constraints", []))
        elif "Constraint" in element and "pktable" in element["Constraint"]:
            yield relation(element["Constraint"]["pktable"])


def _create_table_as(node: Node, statement: Statement, raw: str) -> Insight:
    into = node["into"]
    table = into["rel"]
    kind = "CREATE MATERIALIZED VIEW" if node["objtype"] == "OBJECT_MATVIEW" else "CREATE TABLE AS"
    touch = Touch() if is_temporary(table) else objects(relation(table))
    if "ExecuteStmt" in node["query"]:
        touch |= everything(statement, "EXECUTE runs a prepared statement that parsing cannot see")
    if not into.get("skipData"):
        touch |= unknown_calls(raw, statement)
    return Insight(kind=kind, transactional=True, temporary=is_temporary(table), touch=touch)


# ALTER TABLE and its sisters

_RUNS_EXPRESSIONS = frozenset(
    ("AT_AddColumn", "AT_AlterColumnType", "AT_AddConstraint", "AT_ValidateConstraint", "AT_AttachPartition")
)
_OF_A_COLUMN = frozenset(("CONSTR_NULL", "CONSTR_NOTNULL", "CONSTR_DEFAULT"))
_BUILDS_INDEX = frozenset(("CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_EXCLUSION"))
# Without USING, and whatever the column was before, nothing of a value is lost on the way into one of these.
_HOLDS_ANYTHING = frozenset(("text", "varchar", "int8", "numeric", "timestamptz"))


def _alter_table(node: Node, statement: Statement, raw: str) -> Insight:
    commands = [wrapped["AlterTableCmd"] for wrapped in node.get("cmds", [])]
    name = _altered(node)
    touch = Touch(objects=frozenset((*_altered_parts(node, commands, name), *_other_tables(commands))))
    if any(command["subtype"] in _RUNS_EXPRESSIONS for command in commands):
        touch |= unknown_calls(raw, statement)
    kind = f"ALTER {object_words(node['objtype'])}"
    if (detached := _detached_concurrently(commands)) is not None:
        effect = Effect(
            action="detach_partition",
            name=detached.name,
            schema=detached.schema,
            table=name.name,
            table_schema=name.schema,
            concurrently=True,
        )
        kind += " DETACH PARTITION CONCURRENTLY"
        return Insight(kind=kind, transactional=False, touch=touch, effect=effect)
    return Insight(
        kind=kind,
        transactional=True,
        touch=touch,
        touch_back=_touch_back(node, commands, name),
        destroys="; ".join(_lost(commands, name)) or None,
        progress="create_index" if any(map(_builds_index, commands)) else None,
    )


def _altered(node: Node) -> ObjectName:
    name = relation(node["relation"])
    return ObjectName(kind="type", name=name.name, schema=name.schema) if node["objtype"] == "OBJECT_TYPE" else name


def _altered_parts(node: Node, commands: list[Node], name: ObjectName) -> list[ObjectName]:
    """The columns that are added where nothing else is done to the table, else all of it."""
    if node["objtype"] == "OBJECT_TABLE" and all(map(_adds_plain_column, commands)):
        return [column_of(name, _column(command)) for command in commands]
    return [name]


def _touch_back(node: Node, commands: list[Node], name: ObjectName) -> Touch | None:
    """The columns that are dropped, where nothing else is done: what hangs on them goes with them, and the other
    columns stay where they are.
    """
    if node["objtype"] == "OBJECT_TABLE" and all(command["subtype"] == "AT_DropColumn" for command in commands):
        return objects(*(column_of(name, _column(command)) for command in commands))
    return None


def _adds_plain_column(command: Node) -> bool:
    """With a type, a default and NOT NULL at most: whatever else it may have is the table's, or another table's too."""
    if command["subtype"] != "AT_AddColumn":
        return False
    constraints = command["def"]["ColumnDef"].get("constraints", [])
    return all(each["Constraint"]["contype"] in _OF_A_COLUMN for each in constraints)


def _column(command: Node) -> str:
    name: str = command["name"] if command["subtype"] == "AT_DropColumn" else command["def"]["ColumnDef"]["colname"]
    return name


def _other_tables(commands: list[Node]) -> Iterator[ObjectName]:
    """Parents, partitions and referenced tables that an ALTER TABLE names."""
    for command in commands:
        definition = command.get("def", {})
        if "RangeVar" in definition:
            yield relation(definition["RangeVar"])
        elif "PartitionCmd" in definition:
            yield relation(definition["PartitionCmd"]["name"])
        else:
            yield from _referenced([definition])


def _detached_concurrently(commands: list[Node]) -> ObjectName | None:
    """The partition taken out CONCURRENTLY; FINALIZE, the second half of that, runs in a transaction."""
    for command in commands:
        if command["subtype"] == "AT_DetachPartition" and command["def"]["PartitionCmd"].get("concurrent"):
            return relation(command["def"]["PartitionCmd"]["name"])
    return None


def _lost(commands: list[Node], name: ObjectName) -> Iterator[str]:
    for command in commands:
        column = f"{shown(name)}.{quoted(command.get('name', ''))}"
        if command["subtype"] == "AT_DropColumn":
            yield f"drops column {column}"
        elif command["subtype"] == "AT_AlterColumnType" and _may_lose(command["def"]["ColumnDef"]):
            yield f"converts column {column}, and what the new type cannot hold is lost"


def _may_lose(definition: Node) -> bool:
    type_name = definition["typeName"]
    plain = "typmods" not in type_name and "arrayBounds" not in type_name
    return "raw_default" in definition or not plain or strings(type_name["names"])[-1] not in _HOLDS_ANYTHING


def _builds_index(command: Node) -> bool:
    constraint = command.get("def", {}).get("Constraint")
    if command["subtype"] != "AT_AddConstraint" or constraint is None:
        return False
    return constraint["contype"] in _BUILDS_INDEX and "indexname" not in constraint


# CREATE INDEX


def _create_index(node: Node, statement: Statement, raw: str) -> Insight:
    table = relation(node["relation"])
    touch = _indexed(node, table)
    if not node.get("concurrent"):
        return Insight(kind="CREATE INDEX", transactional=True, touch=touch, progress="create_index")
    effect = Effect(
        action="create_index",
        name=node.get("idxname", ""),
        schema=table.schema,
        table=table.name,
        table_schema=table.schema,
        concurrently=True,
        if_exists=node.get("if_not_exists", False),
    )
    return Insight(
        kind="CREATE INDEX CONCURRENTLY", transactional=False, touch=touch, effect=effect, progress="create_index"
    )


def _indexed(node: Node, table: ObjectName) -> Touch:
    """The new index, and what becomes of the partitions' indexes. One the server names may be any of the table's."""
    if "idxname" not in node:
        return objects(table)
    index = ObjectName(kind="relation", name=node["idxname"], schema=table.schema)
    return objects(index, column_of(table, ""))


# Views


def _create_view(node: Node, statement: Statement, raw: str) -> Insight:
    view = node["view"]
    touch = Touch() if is_temporary(view) else objects(relation(view))
    return Insight(kind="CREATE VIEW", transactional=True, temporary=is_temporary(view), touch=touch)


def _refresh(node: Node, statement: Statement, raw: str) -> Insight:
    return Insight(kind="REFRESH MATERIALIZED VIEW", transactional=True, touch=objects(relation(node["relation"])))


# Sequences


def _create_sequence(node: Node, statement: Statement, raw: str) -> Insight:
    temporary = is_temporary(node["sequence"])
    touch = Touch() if temporary else objects(relation(node["sequence"]), *_owner(node))
    return Insight(kind="CREATE SEQUENCE", transactional=True, temporary=temporary, touch=touch)


def _alter_sequence(node: Node, statement: Statement, raw: str) -> Insight:
    touch = objects(relation(node["sequence"]), *_owner(node))
    return Insight(kind="ALTER SEQUENCE", transactional=True, touch=touch)


def _owner(node: Node) -> Iterator[ObjectName]:
    """The table of the column in OWNED BY, unless that says NONE."""
    owned_by = option(node.get("options", []), "owned_by")
    parts = strings(items(owned_by["arg"])) if owned_by is not None else ()
    if len(parts) > 1:
        yield qualified("relation", parts[:-1])


# Triggers, rules, policies


def _create_trigger(node: Node, statement: Statement, raw: str) -> Insight:
    names = [relation(node[field]) for field in ("relation", "constrrel") if field in node]
    return Insight(kind="CREATE TRIGGER", transactional=True, touch=objects(*names))


def _create_rule(node: Node, statement: Statement, raw: str) -> Insight:
    return Insight(kind="CREATE RULE", transactional=True, touch=objects(relation(node["relation"])))


def _create_policy(node: Node, statement: Statement, raw: str) -> Insight:
    return Insight(kind="CREATE POLICY", transactional=True, touch=objects(relation(node["table"])))


def _alter_policy(node: Node, statement: Statement, raw: str) -> Insight:
    return Insight(kind="ALTER POLICY", transactional=True, touch=objects(relation(node["table"])))


HANDLERS: dict[str, Handler] = {
    "CreateStmt": _create_table,
    "CreateForeignTableStmt": _create_foreign_table,
    "CreateTableAsStmt": _create_table_as,
    "AlterTableStmt": _alter_table,
    "IndexStmt": _create_index,
    "ViewStmt": _create_view,
    "RefreshMatViewStmt": _refresh,
    "CreateSeqStmt": _create_sequence,
    "AlterSeqStmt": _alter_sequence,
    "CreateTrigStmt": _create_trigger,
    "RuleStmt": _create_rule,
    "CreatePolicyStmt": _create_policy,
    "AlterPolicyStmt": _alter_policy,
}
