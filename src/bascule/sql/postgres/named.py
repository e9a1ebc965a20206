"""Statements that name an object by its kind: DROP, RENAME, SET SCHEMA, OWNER, COMMENT, GRANT and their like."""

from __future__ import annotations

from bascule.domain.statement import Effect, Insight, ObjectName, Statement, Touch
from bascule.sql.postgres.tree import (
    Handler,
    Node,
    everything,
    in_temporary_schema,
    items,
    listed,
    objects,
    only,
    qualified,
    quoted,
    relation,
    shown,
    strings,
)

_RELATIONS = frozenset(
    ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE")
)
_PARTS_OF_RELATIONS = frozenset(
    ("OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY")
)
_ROUTINES = frozenset(("OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE"))
_TYPES = frozenset(("OBJECT_TYPE", "OBJECT_DOMAIN"))
# They belong to the cluster, or stand beside the schema, and no fingerprint of a schema shows them.
_OUTSIDE = {
    "OBJECT_DATABASE": "the database itself",
    "OBJECT_LARGEOBJECT": "a large object",
    "OBJECT_PARAMETER_ACL": "who may set a parameter",
    "OBJECT_ROLE": "a role",
    "OBJECT_SUBSCRIPTION": "a subscription",
    "OBJECT_TABLESPACE": "a tablespace",
}
_BUILT_IN_LANGUAGES = frozenset(("c", "internal", "plpgsql", "sql"))

_WORDS = {
    "OBJECT_AMOP": "OPERATOR FAMILY",
    "OBJECT_AMPROC": "OPERATOR FAMILY",
    "OBJECT_ATTRIBUTE": "TYPE",
    "OBJECT_DOMCONSTRAINT": "DOMAIN",
    "OBJECT_FDW": "FOREIGN DATA WRAPPER",
    "OBJECT_FOREIGN_SERVER": "SERVER",
    "OBJECT_LARGEOBJECT": "LARGE OBJECT",
    "OBJECT_MATVIEW": "MATERIALIZED VIEW",
    "OBJECT_OPCLASS": "OPERATOR CLASS",
    "OBJECT_OPFAMILY": "OPERATOR FAMILY",
    "OBJECT_PARAMETER_ACL": "PARAMETER",
    "OBJECT_STATISTIC_EXT": "STATISTICS",
    "OBJECT_TABCONSTRAINT": "CONSTRAINT",
    "OBJECT_TSCONFIGURATION": "TEXT SEARCH CONFIGURATION",
    "OBJECT_TSDICTIONARY": "TEXT SEARCH DICTIONARY",
    "OBJECT_TSPARSER": "TEXT SEARCH PARSER",
    "OBJECT_TSTEMPLATE": "TEXT SEARCH TEMPLATE",
}


def object_words(object_type: str) -> str:
    """How SQL calls a kind of object: ``OBJECT_MATVIEW`` is a ``MATERIALIZED VIEW``."""
    return _WORDS.get(object_type) or object_type.removeprefix("OBJECT_").replace("_", " ")


def _object(object_type: str, node: Node) -> ObjectName | None:
    """The object that stands for what `node` names (the table, for its column); None for kinds not followed by name."""
    kind, value = only(node)
    if object_type in _RELATIONS:
        return relation(value) if kind == "RangeVar" else qualified("relation", strings(items(node)))
    if object_type in _PARTS_OF_RELATIONS:
        return qualified("relation", strings(items(node))[:-1])
    if object_type in _ROUTINES:
        return qualified("routine", strings(value["objname"]))
    if object_type in _TYPES:
        return qualified("type", strings(value["names"] if kind == "TypeName" else items(node)))
    if object_type == "OBJECT_DOMCONSTRAINT":
        return _domain_of(items(node))
    return _plain(object_type, value) if kind == "String" else None


def _domain_of(parts: list[Node]) -> ObjectName:
    """COMMENT writes the domain as a type and the constraint behind it, RENAME writes the domain's name alone."""
    first = parts[0]
    return qualified("type", strings(first["TypeName"]["names"] if "TypeName" in first else parts))


def _plain(object_type: str, value: Node) -> ObjectName | None:
    name = value.get("sval", "")
    if object_type == "OBJECT_SCHEMA":
        return ObjectName(kind="schema", name=name)
    if object_type == "OBJECT_EXTENSION":
        return ObjectName(kind="extension", name=name)
    return ObjectName(kind="role", name=name) if object_type == "OBJECT_ROLE" else None


def _touch(object_type: str, nodes: list[Node], statement: Statement, kind: str) -> Touch:
    names = [_object(object_type, node) for node in nodes]
    found = [name for name in names if name is not None]
    if object_type in _OUTSIDE:
        return objects(*found) | outside(statement, kind, _OUTSIDE[object_type])
    touch = objects(*found) if len(found) == len(names) else not_followed(statement, kind)
    if any(map(_is_system, found)) or (object_type == "OBJECT_LANGUAGE" and any(map(_is_built_in, nodes))):
        touch |= outside(statement, kind, "an object of PostgreSQL's own")
    return touch


def _is_system(name: ObjectName) -> bool:
    """Whether an object, by its name, is PostgreSQL's own: no look is ever taken at those. An extension (pg_trgm) never
    is.
    """
    if name.kind == "extension":
        return False
    place = name.name if name.schema is None else name.schema
    return (place.startswith("pg_") and not in_temporary_schema(name.schema)) or place == "information_schema"


def _is_built_in(language: Node) -> bool:
    return language.get("String", {}).get("sval") in _BUILT_IN_LANGUAGES


def outside(statement: Statement, kind: str, what: str) -> Touch:
    """The touch of what no look at the schema can see: `what` is ``a role``, ``a tablespace``…"""
    return Touch(unseen=(f"line {statement.line}: {kind} changes {what}, which is outside of the schema",))


def not_followed(statement: Statement, kind: str) -> Touch:
    """The touch of statements about objects too rare to be followed by name."""
    return everything(statement, f"{kind} changes objects that are not followed by their names")


# DROP

_DROPS_DATA = {
    "OBJECT_TABLE": "drops table",
    "OBJECT_SEQUENCE": "drops sequence",
    "OBJECT_EXTENSION": "drops whatever is stored by extension",
}


def _drop(node: Node, statement: Statement, raw: str) -> Insight:
    object_type = node["removeType"]
    cascade = node["behavior"] == "DROP_CASCADE"
    kind = f"DROP {object_words(object_type)}"
    nodes = node.get("objects", [])
    touch = _touch(object_type, nodes, statement, kind)
    if object_type == "OBJECT_SCHEMA" and cascade:
        touch |= everything(statement, "DROP SCHEMA … CASCADE drops whatever the schema holds")
    if object_type == "OBJECT_INDEX" and node.get("concurrent"):
        index = qualified("relation", strings(items(nodes[0])))
        effect = Effect(
            action="drop_index",
            name=index.name,
            schema=index.schema,
            concurrently=True,
            if_exists=node.get("missing_ok", False),
        )
        return Insight(kind=f"{kind} CONCURRENTLY", transactional=False, touch=touch, effect=effect)
    return Insight(kind=kind, transactional=True, touch=touch, destroys=_dropped_data(object_type, touch, cascade))


def _dropped_data(object_type: str, touch: Touch, cascade: bool) -> str | None:
    names = listed(sorted(touch.objects, key=shown))
    if object_type in _DROPS_DATA:
        return f"{_DROPS_DATA[object_type]} {names}"
    if object_type == "OBJECT_SCHEMA" and cascade:
        return f"drops schema {names} with every table in it"
    if object_type in _TYPES and cascade:
        return f"drops every column of type {names}"
    return None


# ALTER … RENAME, SET SCHEMA, OWNER, DEPENDS ON


def _rename(node: Node, statement: Statement, raw: str) -> Insight:
    object_type = node["renameType"]
    kind = f"ALTER {_altered_words(node, object_type)}"
    return Insight(kind=kind, transactional=True, touch=_renamed(node, object_type, statement, kind))


def _altered_words(node: Node, object_type: str) -> str:
    """A column, constraint or attribute is renamed by altering what it belongs to."""
    if object_type in ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE"):
        return object_words(node["relationType"])
    return "TABLE" if object_type == "OBJECT_TABCONSTRAINT" else object_words(object_type)


def _renamed(node: Node, object_type: str, statement: Statement, kind: str) -> Touch:
    if object_type == "OBJECT_SCHEMA":
        both = objects(*(ObjectName(kind="schema", name=node[field]) for field in ("subname", "newname")))
        return both | everything(statement, "ALTER SCHEMA … RENAME renames whatever the schema holds")
    if object_type == "OBJECT_ROLE":
        both = objects(*(ObjectName(kind="role", name=node[field]) for field in ("subname", "newname")))
        shows = everything(statement, "ALTER ROLE … RENAME shows in the grants of whatever the role may use")
        return both | shows | outside(statement, kind, _OUTSIDE[object_type])
    if object_type in _OUTSIDE:
        return outside(statement, kind, _OUTSIDE[object_type])
    if object_type == "OBJECT_ATTRIBUTE":
        composite = node["relation"]
        return objects(ObjectName(kind="type", name=composite["relname"], schema=composite.get("schemaname")))
    if "relation" in node:
        old = relation(node["relation"])
        return _both_names(old, node["newname"]) if object_type in _RELATIONS else objects(old)
    if "object" not in node or (found := _object(object_type, node["object"])) is None:
        return not_followed(statement, kind)
    return objects(found) if object_type == "OBJECT_DOMCONSTRAINT" else _both_names(found, node["newname"])


def _both_names(old: ObjectName, new_name: str) -> Touch:
    return objects(old, ObjectName(kind=old.kind, name=new_name, schema=old.schema))


def _set_schema(node: Node, statement: Statement, raw: str) -> Insight:
    object_type = node["objectType"]
    kind = f"ALTER {object_words(object_type)}"
    old = relation(node["relation"]) if "relation" in node else _object(object_type, node["object"])
    if old is None or old.kind == "extension":
        touch = not_followed(statement, kind)
    else:
        touch = objects(old, ObjectName(kind=old.kind, name=old.name, schema=node["newschema"]))
    return Insight(kind=kind, transactional=True, touch=touch)


def _alter_named(node: Node, statement: Statement, raw: str) -> Insight:
    object_type = node["objectType"]
    kind = f"ALTER {object_words(object_type)}"
    if "relation" in node:
        touch = objects(relation(node["relation"]))
    else:
        touch = _touch(object_type, [node["object"]], statement, kind)
    return Insight(kind=kind, transactional=True, touch=touch)


# COMMENT, SECURITY LABEL


def _comment(node: Node, statement: Statement, raw: str) -> Insight:
    kind = f"COMMENT ON {object_words(node['objtype'])}"
    touch = _touch(node["objtype"], [node["object"]], statement, kind)
    return Insight(kind="COMMENT", transactional=True, touch=touch)


def _security_label(node: Node, statement: Statement, raw: str) -> Insight:
    kind = "SECURITY LABEL"
    touch = _touch(node["objtype"], [node["object"]], statement, kind)
    labelled = Touch(unseen=(f"line {statement.line}: {kind} sets a label, and looks at the schema do not show those",))
    return Insight(kind=kind, transactional=True, touch=touch | labelled)


# GRANT, REVOKE


def _grant(node: Node, statement: Statement, raw: str) -> Insight:
    kind = "GRANT" if node.get("is_grant") else "REVOKE"
    if node["targtype"] == "ACL_TARGET_OBJECT":
        on = kind if node["objtype"] not in _OUTSIDE else f"{kind} ON {object_words(node['objtype'])}"
        touch = _touch(node["objtype"], node.get("objects", []), statement, on)
    else:
        schemas = ", ".join(quoted(schema) for schema in strings(node.get("objects", [])))
        touch = everything(statement, f"{kind} … IN SCHEMA {schemas} changes whatever the schema holds")
    return Insight(kind=kind, transactional=True, touch=touch)


def _grant_role(node: Node, statement: Statement, raw: str) -> Insight:
    kind = "GRANT" if node.get("is_grant") else "REVOKE"
    names = [wrapped["AccessPriv"]["priv_name"] for wrapped in node.get("granted_roles", [])]
    names += [spec["RoleSpec"].get("rolename", "") for spec in node.get("grantee_roles", [])]
    touch = objects(*(ObjectName(kind="role", name=name) for name in names if name))
    return Insight(kind=kind, transactional=True, touch=touch | outside(statement, kind, "who is a member of a role"))


HANDLERS: dict[str, Handler] = {
    "DropStmt": _drop,
    "RenameStmt": _rename,
    "AlterObjectSchemaStmt": _set_schema,
    "AlterOwnerStmt": _alter_named,
    "AlterObjectDependsStmt": _alter_named,
    "CommentStmt": _comment,
    "SecLabelStmt": _security_label,
    "GrantStmt": _grant,
    "GrantRoleStmt": _grant_role,
}
