"""What a statement of PostgreSQL makes of a picture of the schema, told by the grammar."""

from __future__ import annotations

import re
from collections.abc import Callable

from bascule.domain.statement import Insight, Statement
from bascule.rollback.pictures.drops import drop
from bascule.rollback.pictures.hanging import make_index, make_policy, make_rule, make_trigger
from bascule.rollback.pictures.names import Node, texts_in
from bascule.rollback.pictures.objects import (
    comment,
    grant,
    label_enum,
    make_composite,
    make_domain,
    make_enum,
    make_extension,
    make_other,
    make_range,
    make_schema,
    make_sequence,
    make_view,
    own_sequence,
)
from bascule.rollback.pictures.picture import Picture
from bascule.rollback.pictures.renames import move_to_schema, rename
from bascule.rollback.pictures.routines import make_function
from bascule.rollback.pictures.rows import copy_rows, delete, insert, setting, truncate, update
from bascule.rollback.pictures.tables import alter_table, create_table, create_table_as
from bascule.sql import grammar


def applied(picture: Picture, statement: Statement, insight: Insight) -> None:
    """Change the picture. Raises `Failing` for what would fail, `SqlSyntaxProblem`, `OSError` and `RecursionError` as
    the grammar does.
    """
    for each in grammar.parse(statement.text)["stmts"]:
        kind, node = next(iter(each["stmt"].items()))
        reading = _READINGS.get(kind)
        if reading is not None:
            reading(picture, node, statement.line)
        elif kind not in _SILENT:
            picture.unsure.append(f"line {statement.line}: what {insight.kind} changes is not followed")
        if insight.touch.everything and kind not in _FOLLOWED and not (kind == "DoStmt" and _is_harmless(node)):
            why = next(iter(insight.touch.reasons), f"line {statement.line}: {insight.kind} cannot be followed")
            picture.unsure.append(why)


_CHANGING = re.compile(
    r"\b(?:create|alter|drop|execute|truncate|perform|call|comment|grant|revoke|reindex|import|security|set_config)\b"
    r"|\bselect\s+[\w.]+\s*\(\s*'",
    re.IGNORECASE,
)


def _is_harmless(node: Node) -> bool:
    """The block holds no word that changes a schema, as those that only look and refuse."""
    return not any(_CHANGING.search(text) for text in texts_in(node.get("args")))


Reading = Callable[[Picture, Node, int], None]


_READINGS: dict[str, Reading] = {
    "CreateStmt": create_table,
    "CreateForeignTableStmt": lambda picture, node, line: create_table(picture, node["base"], line),
    "CreateTableAsStmt": create_table_as,
    "AlterTableStmt": alter_table,
    "IndexStmt": make_index,
    "CreateTrigStmt": make_trigger,
    "CreatePolicyStmt": make_policy,
    "RuleStmt": make_rule,
    "CreateFunctionStmt": make_function,
    "ViewStmt": make_view,
    "CreateEnumStmt": make_enum,
    "AlterEnumStmt": label_enum,
    "CompositeTypeStmt": make_composite,
    "CreateDomainStmt": make_domain,
    "CreateRangeStmt": make_range,
    "CreateSeqStmt": make_sequence,
    "AlterSeqStmt": own_sequence,
    "CreateSchemaStmt": make_schema,
    "CreateExtensionStmt": make_extension,
    "CommentStmt": comment,
    "GrantStmt": grant,
    "DropStmt": drop,
    "RenameStmt": rename,
    "AlterObjectSchemaStmt": move_to_schema,
    "InsertStmt": insert,
    "CopyStmt": copy_rows,
    "DeleteStmt": delete,
    "TruncateStmt": truncate,
    "UpdateStmt": update,
    "VariableSetStmt": setting,
    "DefineStmt": make_other,
}


_SILENT = frozenset(
    (
        "SelectStmt",
        "TransactionStmt",
        "LockStmt",
        "VacuumStmt",
        "ReindexStmt",
        "ClusterStmt",
        "CheckPointStmt",
        "ExplainStmt",
        "VariableShowStmt",
        "DiscardStmt",
        "RefreshMatViewStmt",
        "PrepareStmt",
        "DeallocateStmt",
        "NotifyStmt",
        "ListenStmt",
        "UnlistenStmt",
        "ConstraintsSetStmt",
        "MergeStmt",
        "DoStmt",
        "CallStmt",
        "ExecuteStmt",
        "AlterOwnerStmt",
    )
)
"""They change nothing that is pictured, or their reading says itself that it cannot tell."""


_FOLLOWED = frozenset(("DropStmt", "CreateExtensionStmt", "AlterTableStmt", "CreateFunctionStmt", "CreateStmt"))
