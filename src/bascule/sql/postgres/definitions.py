"""Functions, types, schemas, extensions, and the kinds of objects too rare to be followed by name."""

from __future__ import annotations

from dataclasses import replace

from bascule.domain.statement import Effect, Insight, ObjectName, Statement, Touch
from bascule.sql.postgres import tables
from bascule.sql.postgres.named import not_followed, object_words, outside
from bascule.sql.postgres.tree import (
    Handler,
    Node,
    everything,
    in_temporary_schema,
    objects,
    only,
    option,
    qualified,
    strings,
    text_of,
)

# Functions


def _create_function(node: Node, statement: Statement, raw: str) -> Insight:
    kind = "CREATE PROCEDURE" if node.get("is_procedure") else "CREATE FUNCTION"
    name = qualified("routine", strings(node["funcname"]))
    temporary = in_temporary_schema(name.schema)
    touch = Touch(code=(statement.text,)) if temporary else objects(name) | Touch(code=(statement.text,))
    if (text_of(option(node.get("options", []), "language")) or "").lower() in ("c", "internal"):
        touch |= everything(statement, f"{kind} in C makes the types it names, where they are missing")
    return Insight(kind=kind, transactional=True, temporary=temporary, touch=touch)


def _alter_function(node: Node, statement: Statement, raw: str) -> Insight:
    kind = f"ALTER {object_words(node['objtype'])}"
    return Insight(kind=kind, transactional=True, touch=objects(qualified("routine", strings(node["func"]["objname"]))))


# Types


def _create_enum(node: Node, statement: Statement, raw: str) -> Insight:
    return _type("CREATE TYPE", node["typeName"])


def _create_range(node: Node, statement: Statement, raw: str) -> Insight:
    return _type("CREATE TYPE", node["typeName"])


def _create_composite(node: Node, statement: Statement, raw: str) -> Insight:
    composite = node["typevar"]
    name = ObjectName(kind="type", name=composite["relname"], schema=composite.get("schemaname"))
    return Insight(kind="CREATE TYPE", transactional=True, touch=objects(name))


def _create_domain(node: Node, statement: Statement, raw: str) -> Insight:
    return _type("CREATE DOMAIN", node["domainname"])


def _alter_domain(node: Node, statement: Statement, raw: str) -> Insight:
    return _type("ALTER DOMAIN", node["typeName"])


def _alter_type(node: Node, statement: Statement, raw: str) -> Insight:
    return _type("ALTER TYPE", node["typeName"])


def _alter_enum(node: Node, statement: Statement, raw: str) -> Insight:
    name = qualified("type", strings(node["typeName"]))
    effect = None
    if "oldVal" not in node:
        effect = Effect(
            action="add_enum_value",
            name=name.name,
            schema=name.schema,
            value=node["newVal"],
            if_exists=node.get("skipIfNewValExists", False),
        )
    return Insight(kind="ALTER TYPE", transactional=True, touch=objects(name), effect=effect)


def _define(node: Node, statement: Statement, raw: str) -> Insight:
    kind = f"CREATE {object_words(node['kind'])}"
    if node["kind"] == "OBJECT_TYPE":
        return _type(kind, node["defnames"])
    return Insight(kind=kind, transactional=True, touch=not_followed(statement, kind))


def _type(kind: str, names: list[Node]) -> Insight:
    return Insight(kind=kind, transactional=True, touch=objects(qualified("type", strings(names))))


# Schemas


def _create_schema(node: Node, statement: Statement, raw: str) -> Insight:
    """The schema and whatever its statement makes in it."""
    schema = node.get("schemaname") or node.get("authrole", {}).get("rolename")
    if schema is None:
        touch = everything(statement, "CREATE SCHEMA names its schema after whoever runs it")
    else:
        touch = objects(ObjectName(kind="schema", name=schema))
        for element in node.get("schemaElts", []):
            touch |= _element(element, schema, statement)
    return Insight(kind="CREATE SCHEMA", transactional=True, touch=touch)


def _element(element: Node, schema: str, statement: Statement) -> Touch:
    node_name, node = only(element)
    if (handler := tables.HANDLERS.get(node_name)) is None:
        return everything(statement, "CREATE SCHEMA holds statements that are not followed by their names")
    touch = handler(node, statement, "").touch
    inside = {replace(name, schema=name.schema or schema) for name in touch.objects}
    # A name without a schema may also be one that the search path finds: a referenced table, say.
    return Touch(objects=frozenset(inside)) | touch


def _create_extension(node: Node, statement: Statement, raw: str) -> Insight:
    return _extension("CREATE EXTENSION", node, statement, "makes whatever objects the extension holds")


def _alter_extension(node: Node, statement: Statement, raw: str) -> Insight:
    return _extension("ALTER EXTENSION", node, statement, "changes whatever objects the extension holds")


def _extension(kind: str, node: Node, statement: Statement, does: str) -> Insight:
    touch = objects(ObjectName(kind="extension", name=node["extname"])) | everything(statement, f"{kind} {does}")
    return Insight(kind=kind, transactional=True, touch=touch)


# Kinds of objects that are not followed by name

_RARE = {
    "AlterCollationStmt": "ALTER COLLATION",
    "AlterDefaultPrivilegesStmt": "ALTER DEFAULT PRIVILEGES",
    "AlterEventTrigStmt": "ALTER EVENT TRIGGER",
    "AlterFdwStmt": "ALTER FOREIGN DATA WRAPPER",
    "AlterForeignServerStmt": "ALTER SERVER",
    "AlterOpFamilyStmt": "ALTER OPERATOR FAMILY",
    "AlterOperatorStmt": "ALTER OPERATOR",
    "AlterPublicationStmt": "ALTER PUBLICATION",
    "AlterStatsStmt": "ALTER STATISTICS",
    "AlterTableMoveAllStmt": "ALTER ALL IN TABLESPACE",
    "AlterTSConfigurationStmt": "ALTER TEXT SEARCH CONFIGURATION",
    "AlterTSDictionaryStmt": "ALTER TEXT SEARCH DICTIONARY",
    "CreateAmStmt": "CREATE ACCESS METHOD",
    "CreateCastStmt": "CREATE CAST",
    "CreateConversionStmt": "CREATE CONVERSION",
    "CreateEventTrigStmt": "CREATE EVENT TRIGGER",
    "CreateFdwStmt": "CREATE FOREIGN DATA WRAPPER",
    "CreateForeignServerStmt": "CREATE SERVER",
    "CreateOpClassStmt": "CREATE OPERATOR CLASS",
    "CreateOpFamilyStmt": "CREATE OPERATOR FAMILY",
    "CreatePLangStmt": "CREATE LANGUAGE",
    "CreatePublicationStmt": "CREATE PUBLICATION",
    "CreateStatsStmt": "CREATE STATISTICS",
    "CreateTransformStmt": "CREATE TRANSFORM",
    "CreateUserMappingStmt": "CREATE USER MAPPING",
    "DropUserMappingStmt": "DROP USER MAPPING",
    "ImportForeignSchemaStmt": "IMPORT FOREIGN SCHEMA",
}
_OF_A_ROLE = "whatever databases and tablespaces the role owns or may use"


def _rare(kind: str) -> Handler:
    def handler(node: Node, statement: Statement, raw: str) -> Insight:
        return Insight(kind=kind, transactional=True, touch=not_followed(statement, kind))

    return handler


def _alter_user_mapping(node: Node, statement: Statement, raw: str) -> Insight:
    """The values of its options are passwords, as a rule: a look keeps only their names."""
    kind = "ALTER USER MAPPING"
    kept_secret = Touch(unseen=(f"line {statement.line}: {kind} changes values that looks at the schema do not keep",))
    return Insight(kind=kind, transactional=True, touch=not_followed(statement, kind) | kept_secret)


def _reassign_owned(node: Node, statement: Statement, raw: str) -> Insight:
    kind = "REASSIGN OWNED"
    touch = not_followed(statement, kind) | outside(statement, kind, _OF_A_ROLE)
    return Insight(kind=kind, transactional=True, touch=touch)


def _drop_owned(node: Node, statement: Statement, raw: str) -> Insight:
    roles = ", ".join(spec["RoleSpec"].get("rolename", "the current role") for spec in node["roles"])
    return Insight(
        kind="DROP OWNED",
        transactional=True,
        touch=everything(statement, "DROP OWNED drops whatever the role owns")
        | outside(statement, "DROP OWNED", _OF_A_ROLE),
        destroys=f"drops every table owned by {roles}",
    )


HANDLERS: dict[str, Handler] = {
    "CreateFunctionStmt": _create_function,
    "AlterFunctionStmt": _alter_function,
    "CreateEnumStmt": _create_enum,
    "CreateRangeStmt": _create_range,
    "CompositeTypeStmt": _create_composite,
    "CreateDomainStmt": _create_domain,
    "AlterDomainStmt": _alter_domain,
    "AlterTypeStmt": _alter_type,
    "AlterEnumStmt": _alter_enum,
    "DefineStmt": _define,
    "CreateSchemaStmt": _create_schema,
    "CreateExtensionStmt": _create_extension,
    "AlterExtensionStmt": _alter_extension,
    "AlterExtensionContentsStmt": _alter_extension,
    "AlterUserMappingStmt": _alter_user_mapping,
    "DropOwnedStmt": _drop_owned,
    "ReassignOwnedStmt": _reassign_owned,
    **{node_name: _rare(kind) for node_name, kind in _RARE.items()},
}
