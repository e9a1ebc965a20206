"""What is done to the server or the whole database: maintenance, databases, tablespaces, roles, subscriptions."""

from __future__ import annotations

from bascule.domain.statement import Effect, Insight, ObjectName, Statement, Touch
from bascule.sql.postgres.named import not_followed, outside
from bascule.sql.postgres.tree import (
    Handler,
    Node,
    objects,
    option,
    quoted,
    relation,
    switched_on,
)

_HARMLESS = Effect(action="harmless")
_UNKNOWN = Effect(action="unknown")

# Maintenance


def _vacuum(node: Node, statement: Statement, raw: str) -> Insight:
    if not node.get("is_vacuumcmd"):
        return Insight(kind="ANALYZE", transactional=True, progress="analyze")
    if switched_on(option(node.get("options", []), "full")):
        # Repeating it loses nothing but rewrites every table under its strongest lock: that is for a person to say.
        return Insight(kind="VACUUM FULL", transactional=False, effect=_UNKNOWN, progress="cluster")
    return Insight(kind="VACUUM", transactional=False, effect=_HARMLESS, progress="vacuum")


def _cluster(node: Node, statement: Statement, raw: str) -> Insight:
    if "relation" not in node:
        return Insight(kind="CLUSTER", transactional=False, effect=_UNKNOWN, progress="cluster")
    touch = objects(relation(node["relation"]))
    return Insight(kind="CLUSTER", transactional=True, touch=touch, progress="cluster")


def _reindex(node: Node, statement: Statement, raw: str) -> Insight:
    what = node["kind"].removeprefix("REINDEX_OBJECT_")
    concurrently = switched_on(option(node.get("params", []), "concurrently"))
    kind = f"REINDEX {what} CONCURRENTLY" if concurrently else f"REINDEX {what}"
    target = relation(node["relation"]) if "relation" in node else None
    touch = objects(target) if target is not None else Touch()
    if target is not None and not concurrently:
        return Insight(kind=kind, transactional=True, touch=touch, progress="create_index")
    effect = _reindexed(what, target, node.get("name"), concurrently)
    return Insight(kind=kind, transactional=False, touch=touch, effect=effect, progress="create_index")


def _reindexed(what: str, target: ObjectName | None, name: str | None, concurrently: bool) -> Effect:
    if target is None:
        schema = name if what == "SCHEMA" else None
        return Effect(action="reindex", schema=schema, concurrently=concurrently)
    if what == "INDEX":
        return Effect(action="reindex", name=target.name, schema=target.schema, concurrently=concurrently)
    return Effect(
        action="reindex",
        table=target.name,
        schema=target.schema,
        table_schema=target.schema,
        concurrently=concurrently,
    )


def _checkpoint(node: Node, statement: Statement, raw: str) -> Insight:
    return Insight(kind="CHECKPOINT", transactional=True)


# Databases, tablespaces, the server's own settings: none of it is part of this database's schema


def _create_database(node: Node, statement: Statement, raw: str) -> Insight:
    return _outside(statement, "CREATE DATABASE", "a database", Effect(action="create_database", name=node["dbname"]))


def _drop_database(node: Node, statement: Statement, raw: str) -> Insight:
    name, if_exists = node["dbname"], node.get("missing_ok", False)
    effect = Effect(action="drop_database", name=name, if_exists=if_exists)
    return _outside(statement, "DROP DATABASE", "a database", effect, destroys=f"drops database {quoted(name)}")


def _alter_database(node: Node, statement: Statement, raw: str) -> Insight:
    if option(node.get("options", []), "tablespace") is not None:
        return _outside(statement, "ALTER DATABASE SET TABLESPACE", "a database", _HARMLESS)
    return _outside(statement, "ALTER DATABASE", "a database")


def _alter_database_setting(node: Node, statement: Statement, raw: str) -> Insight:
    return _outside(statement, "ALTER DATABASE", "a database")


def _create_tablespace(node: Node, statement: Statement, raw: str) -> Insight:
    effect = Effect(action="create_tablespace", name=node["tablespacename"])
    return _outside(statement, "CREATE TABLESPACE", "a tablespace", effect)


def _drop_tablespace(node: Node, statement: Statement, raw: str) -> Insight:
    if_exists = node.get("missing_ok", False)
    effect = Effect(action="drop_tablespace", name=node["tablespacename"], if_exists=if_exists)
    return _outside(statement, "DROP TABLESPACE", "a tablespace", effect)


def _alter_tablespace(node: Node, statement: Statement, raw: str) -> Insight:
    return _outside(statement, "ALTER TABLESPACE", "a tablespace")


def _alter_system(node: Node, statement: Statement, raw: str) -> Insight:
    return _outside(statement, "ALTER SYSTEM", "the server's settings", _HARMLESS)


def _outside(
    statement: Statement, kind: str, what: str, effect: Effect | None = None, destroys: str | None = None
) -> Insight:
    """`effect`: of what the server refuses inside a transaction, None for the rest."""
    touch = outside(statement, kind, what)
    return Insight(kind=kind, transactional=effect is None, touch=touch, effect=effect, destroys=destroys)


# Roles


def _create_role(node: Node, statement: Statement, raw: str) -> Insight:
    return _role(statement, "CREATE ROLE", [node["role"]])


def _alter_role(node: Node, statement: Statement, raw: str) -> Insight:
    return _role(statement, "ALTER ROLE", [node.get("role", {}).get("rolename")])


def _drop_role(node: Node, statement: Statement, raw: str) -> Insight:
    return _role(statement, "DROP ROLE", [spec["RoleSpec"].get("rolename") for spec in node["roles"]])


def _role(statement: Statement, kind: str, names: list[str | None]) -> Insight:
    """ALL and CURRENT_USER are no names."""
    touch = objects(*(ObjectName(kind="role", name=name) for name in names if name))
    return Insight(kind=kind, transactional=True, touch=touch | outside(statement, kind, "a role"))


# Subscriptions


def _create_subscription(node: Node, statement: Statement, raw: str) -> Insight:
    options = node.get("options", [])
    connects = switched_on(option(options, "connect"), default=True)
    effect = None
    if switched_on(option(options, "create_slot"), default=connects):
        # A slot made on the publisher is not taken back by a rollback here.
        effect = Effect(action="create_subscription", name=node["subname"])
    return _subscription("CREATE SUBSCRIPTION", statement, effect)


def _alter_subscription(node: Node, statement: Statement, raw: str) -> Insight:
    return _subscription("ALTER SUBSCRIPTION", statement, _altered_outside(node))


def _altered_outside(node: Node) -> Effect | None:
    """The effect of those forms that the server refuses inside a transaction, None for the others."""
    what = node["kind"].removeprefix("ALTER_SUBSCRIPTION_")
    options = node.get("options", [])
    if what in ("REFRESH", "REFRESH_PUBLICATION", "REFRESH_SEQUENCES"):
        return _HARMLESS
    if what.endswith("PUBLICATION") and switched_on(option(options, "refresh"), default=True):
        return _HARMLESS if what == "SET_PUBLICATION" else _UNKNOWN
    two_phase_off = option(options, "two_phase") is not None and not switched_on(option(options, "two_phase"))
    changes_slot = option(options, "failover") is not None or two_phase_off
    return _HARMLESS if what == "OPTIONS" and changes_slot else None


def _drop_subscription(node: Node, statement: Statement, raw: str) -> Insight:
    if_exists = node.get("missing_ok", False)
    effect = Effect(action="drop_subscription", name=node["subname"], if_exists=if_exists)
    return _subscription("DROP SUBSCRIPTION", statement, effect)


def _subscription(kind: str, statement: Statement, effect: Effect | None) -> Insight:
    touch = not_followed(statement, kind) | outside(statement, kind, "a subscription")
    return Insight(kind=kind, transactional=effect is None, touch=touch, effect=effect)


HANDLERS: dict[str, Handler] = {
    "VacuumStmt": _vacuum,
    "ClusterStmt": _cluster,
    "ReindexStmt": _reindex,
    "CheckPointStmt": _checkpoint,
    "CreatedbStmt": _create_database,
    "DropdbStmt": _drop_database,
    "AlterDatabaseStmt": _alter_database,
    "AlterDatabaseSetStmt": _alter_database_setting,
    "AlterDatabaseRefreshCollStmt": _alter_database_setting,
    "CreateTableSpaceStmt": _create_tablespace,
    "DropTableSpaceStmt": _drop_tablespace,
    "AlterTableSpaceOptionsStmt": _alter_tablespace,
    "AlterSystemStmt": _alter_system,
    "CreateRoleStmt": _create_role,
    "AlterRoleStmt": _alter_role,
    "AlterRoleSetStmt": _alter_role,
    "DropRoleStmt": _drop_role,
    "CreateSubscriptionStmt": _create_subscription,
    "AlterSubscriptionStmt": _alter_subscription,
    "DropSubscriptionStmt": _drop_subscription,
}
