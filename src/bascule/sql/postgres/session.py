"""Transaction control, settings, and code that runs at once: SET, BEGIN, PREPARE, LISTEN, DO, CALL."""

from __future__ import annotations

from typing import Literal

from bascule.domain.statement import Effect, Insight, Statement, Touch
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold, significant
from bascule.sql.postgres.bodies import beyond_the_schema
from bascule.sql.postgres.calls import unknown_calls
from bascule.sql.postgres.data import rows
from bascule.sql.postgres.tree import Handler, Node, everything, option, qualified, strings, text_of

Control = Literal["begin", "commit", "rollback", "savepoint"]

_HOLDS_CURSOR = 0x0020
"""The bit of WITH HOLD among a cursor's options."""

# Transaction control

_CONTROL: dict[str, tuple[str, Control]] = {
    "BEGIN": ("BEGIN", "begin"),
    "START": ("START TRANSACTION", "begin"),
    "COMMIT": ("COMMIT", "commit"),
    "ROLLBACK": ("ROLLBACK", "rollback"),
    "SAVEPOINT": ("SAVEPOINT", "savepoint"),
    "RELEASE": ("RELEASE", "savepoint"),
    "ROLLBACK_TO": ("ROLLBACK TO", "savepoint"),
    # It takes the transaction away from the session, as a COMMIT does.
    "PREPARE": ("PREPARE TRANSACTION", "commit"),
}


def _transaction(node: Node, statement: Statement, raw: str) -> Insight:
    what = node["kind"].removeprefix("TRANS_STMT_")
    if what in ("COMMIT_PREPARED", "ROLLBACK_PREPARED"):
        kind = what.replace("_", " ")
        touch = everything(statement, "ends a prepared transaction that parsing cannot see")
        touch |= Touch(unseen=(f"line {statement.line}: {kind} ends a transaction of which nothing is known",))
        return Insight(kind=kind, transactional=False, touch=touch, effect=Effect(action="unknown"))
    kind, control = _CONTROL[what]
    return Insight(kind=kind, transactional=True, control=control)


# Settings


def _set(node: Node, statement: Statement, raw: str) -> Insight:
    name = node.get("name", "")
    kind = "RESET" if node["kind"] in ("VAR_RESET", "VAR_RESET_ALL") else "SET"
    transaction = node["kind"] == "VAR_SET_MULTI" and name.startswith("TRANSACTION")
    path, touch = _search_path(node, statement) if name == "search_path" else (None, Touch())
    return Insight(
        kind=kind,
        transactional=True,
        session=not (node.get("is_local") or transaction),
        search_path=path,
        touch=touch,
    )


def _search_path(node: Node, statement: Statement) -> tuple[tuple[str, ...] | None, Touch]:
    if node["kind"] != "VAR_SET_VALUE":
        return (), Touch()
    values = [argument.get("A_Const", {}).get("sval") for argument in node.get("args", [])]
    if None in values:
        return None, everything(statement, "SET search_path takes a value that parsing cannot read")
    return tuple(value.get("sval", "") for value in values), Touch()


def _show(node: Node, statement: Statement, raw: str) -> Insight:
    return Insight(kind="SHOW", transactional=True)


def _discard(node: Node, statement: Statement, raw: str) -> Insight:
    if node["target"] != "DISCARD_ALL":
        return Insight(kind="DISCARD", transactional=True, session=True)
    return Insight(kind="DISCARD ALL", transactional=False, session=True, effect=Effect(action="harmless"))


def _session(kind: str) -> Handler:
    """Statements that leave something in the session and nothing else."""

    def handler(node: Node, statement: Statement, raw: str) -> Insight:
        return Insight(kind=kind, transactional=True, session=True)

    return handler


def _passing(kind: str) -> Handler:
    """Statements of which nothing is left when their transaction ends."""

    def handler(node: Node, statement: Statement, raw: str) -> Insight:
        return Insight(kind=kind, transactional=True)

    return handler


# Cursors and prepared statements


def _declare(node: Node, statement: Statement, raw: str) -> Insight:
    holds = bool(node.get("options", 0) & _HOLDS_CURSOR)
    return Insight(kind="DECLARE", transactional=True, session=holds, touch=unknown_calls(raw, statement))


def _prepare(node: Node, statement: Statement, raw: str) -> Insight:
    """It runs nothing yet; what EXECUTE will run is told here, where it can be seen."""
    runs = Touch(runs=rows("PrepareStmt", statement, raw).touch.runs)
    return Insight(kind="PREPARE", transactional=True, session=True, touch=runs)


def _execute(node: Node, statement: Statement, raw: str) -> Insight:
    touch = everything(statement, "EXECUTE runs a prepared statement that parsing cannot see")
    return Insight(kind="EXECUTE", transactional=True, touch=touch)


# Code that runs at once


def _call(node: Node, statement: Statement, raw: str) -> Insight:
    touch = everything(statement, "CALL runs a procedure that parsing cannot follow")
    touch |= Touch(runs=frozenset((qualified("routine", strings(node["funccall"]["funcname"])),)))
    return Insight(kind="CALL", transactional=True, touch=touch)


def _do(node: Node, statement: Statement, raw: str) -> Insight:
    touch = everything(statement, "DO runs code that parsing cannot follow") | Touch(code=(statement.text,))
    if (why := beyond_the_schema(statement.text)) is not None:
        touch |= Touch(unseen=(f"line {statement.line}: DO {why}: looks at the schema may not show what it changes",))
    if _commits(text_of(option(node["args"], "as")) or ""):
        return Insight(kind="DO", transactional=False, touch=touch, effect=Effect(action="unknown"))
    return Insight(kind="DO", transactional=True, touch=touch)


_BEFORE_A_STATEMENT = frozenset((";", "begin", "then", "else", "loop", ">>"))


def _commits(body: str) -> bool:
    """Whether COMMIT or ROLLBACK stands in a block of PL/pgSQL as a statement of its own."""
    previous = ";"
    try:
        for kind, start, end in significant(body, "postgresql"):
            word = fold(body[start:end]) if kind == "word" else body[start:end]
            if kind == "word" and word in ("commit", "rollback") and previous in _BEFORE_A_STATEMENT:
                return True
            previous = word
    except SqlSyntaxProblem:
        return False
    return False


HANDLERS: dict[str, Handler] = {
    "TransactionStmt": _transaction,
    "VariableSetStmt": _set,
    "VariableShowStmt": _show,
    "DiscardStmt": _discard,
    "ListenStmt": _session("LISTEN"),
    "UnlistenStmt": _session("UNLISTEN"),
    "LoadStmt": _session("LOAD"),
    "PrepareStmt": _prepare,
    "DeallocateStmt": _session("DEALLOCATE"),
    "NotifyStmt": _passing("NOTIFY"),
    "ConstraintsSetStmt": _passing("SET CONSTRAINTS"),
    "LockStmt": _passing("LOCK"),
    "FetchStmt": _passing("FETCH"),
    "ClosePortalStmt": _passing("CLOSE"),
    "DeclareCursorStmt": _declare,
    "ExecuteStmt": _execute,
    "CallStmt": _call,
    "DoStmt": _do,
}
