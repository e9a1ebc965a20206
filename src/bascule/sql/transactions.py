"""What BEGIN and COMMIT inside a script mean. They must not reach the server: whoever runs a script decides there.

Sent as written inside a surrounding transaction, an author's COMMIT would end that transaction early with only a
warning, and what follows it could not be taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, NoReturn

from bascule.domain.statement import Dialect, Insight, Statement
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold, significant
from bascule.sql.refused import refuse_statements

Pair = tuple[Statement, Insight]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Statements that are one unit; BEGIN and COMMIT are not among them."""

    statements: tuple[Statement, ...]
    insights: tuple[Insight, ...]
    explicit: bool
    """The author put them between BEGIN and COMMIT. Where `shape` is ``several``, a block that is not explicit holds
    one statement, which the author left to its own transaction."""
    modes: str = ""
    """What the author wrote behind BEGIN and is not used: SQLite's ``IMMEDIATE``. (PostgreSQL's isolation level has
    become the first of the statements, SET TRANSACTION, which is what it means.)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTransactions:
    """A script's statements as its author grouped them into transactions."""

    shape: Literal["none", "whole", "several"]
    """``none``: no BEGIN, one block, whoever runs the script decides. ``whole``: one pair around everything, one block,
    as if the pair was not there. ``several``: each block is to run in a transaction of its own, in this order."""
    blocks: tuple[Block, ...]


def own_transactions(
    statements: Sequence[Statement], insights: Sequence[Insight], dialect: Dialect = "postgresql"
) -> OwnTransactions:
    """How the script's author grouped its statements; settings before BEGIN or behind COMMIT are part of the group.

    Raises SqlSyntaxProblem, with the line, for what would end or leave a transaction that is not the author's to end:
    ROLLBACK, COMMIT without BEGIN, BEGIN without COMMIT, COMMIT AND CHAIN, PREPARE TRANSACTION, a savepoint that is not
    there; for a statement between BEGIN and COMMIT that the server refuses there; for a BEGIN that is READ ONLY; and
    for what no migration may hold (`refused`).
    """
    pairs = list(zip(statements, insights, strict=True))
    refuse_statements(statements, dialect)
    if all(insight.control is None or insight.control == "savepoint" for _, insight in pairs):
        _check_savepoints(pairs, dialect)
        return OwnTransactions(shape="none", blocks=(_block(pairs, explicit=False),))
    blocks = tuple(_blocks(pairs, dialect))
    explicit = [block for block in blocks if block.explicit]
    rest = [insight for block in blocks if not block.explicit for insight in block.insights]
    if len(explicit) == 1 and all(insight.session and insight.transactional for insight in rest):
        whole = [pair for block in blocks for pair in zip(block.statements, block.insights, strict=True)]
        # A level that stands behind settings is moved before them: it must come before anything else.
        first = next(iter(explicit[0].statements), None)
        if first is not None and first.text.upper().startswith(_LEVEL):
            whole.sort(key=lambda pair: pair[0] is not first)
        return OwnTransactions(shape="whole", blocks=(_block(whole, explicit=True, modes=explicit[0].modes),))
    return OwnTransactions(shape="several", blocks=blocks)


def _block(pairs: Sequence[Pair], *, explicit: bool, modes: str = "") -> Block:
    return Block(
        statements=tuple(statement for statement, _ in pairs),
        insights=tuple(insight for _, insight in pairs),
        explicit=explicit,
        modes=modes,
    )


def _blocks(pairs: Sequence[Pair], dialect: Dialect) -> Iterator[Block]:
    begin: Statement | None = None
    inside: list[Pair] = []
    for statement, insight in pairs:
        if insight.control == "begin":
            _refuse_second_begin(begin, statement)
            begin = statement
        elif insight.control in ("commit", "rollback"):
            opened = _opened(begin, statement, insight, dialect)
            _check_savepoints(inside, dialect)
            if dialect == "sqlite":
                yield _block(inside, explicit=True, modes=_modes(opened, dialect))
            else:
                level = _isolation(opened) if inside else None
                yield _block(inside if level is None else [level, *inside], explicit=True)
            begin, inside = None, []
        elif begin is None:
            _refuse_lone_savepoint(statement, insight)
            yield _block([(statement, insight)], explicit=False)
        else:
            _refuse_outsider(begin, statement, insight)
            inside.append((statement, insight))
    if begin is not None:
        _refuse(begin, "this BEGIN has no COMMIT: add one, or take the BEGIN out")


def _opened(begin: Statement | None, end: Statement, insight: Insight, dialect: Dialect) -> Statement:
    """The BEGIN that a statement ends; raises for every end that is not a plain COMMIT."""
    if insight.control == "rollback":
        _refuse(end, f"{insight.kind} would undo the migration and its record with it: take it out")
    if insight.kind == "PREPARE TRANSACTION":
        _refuse(end, "PREPARE TRANSACTION would take the transaction away from the migration: take it out")
    words = _words(end, dialect)
    if "chain" in words and "no" not in words:
        _refuse(end, "COMMIT AND CHAIN would open a transaction that nobody ends: write COMMIT and BEGIN")
    if begin is None:
        _refuse(end, f"{insight.kind} without BEGIN would end the migration's own transaction early: take it out")
    return begin


def _refuse_second_begin(begin: Statement | None, second: Statement) -> None:
    if begin is not None:
        _refuse(second, f"BEGIN inside the transaction begun on line {begin.line}: add the COMMIT that is missing")


def _refuse_lone_savepoint(statement: Statement, insight: Insight) -> None:
    if insight.control == "savepoint":
        _refuse(statement, f"{insight.kind} outside of the script's BEGIN and COMMIT: put it between them")


def _refuse_outsider(begin: Statement, statement: Statement, insight: Insight) -> None:
    if not insight.transactional:
        message = f"{insight.kind} cannot run inside the transaction begun on line {begin.line}: put it outside"
        _refuse(statement, message)


def _check_savepoints(pairs: Sequence[Pair], dialect: Dialect) -> None:
    """Each RELEASE and ROLLBACK TO must find its savepoint; one left open ends with the transaction."""
    open_savepoints: list[str] = []
    for statement, insight in pairs:
        if insight.control != "savepoint":
            continue
        words = _words(statement, dialect)
        name = words[-1] if words else ""
        if words[:1] == ["savepoint"]:
            open_savepoints.append(name)
            continue
        if name not in open_savepoints:
            _refuse(statement, f"{insight.kind} {name}: no savepoint of that name is open here")
        while open_savepoints[-1] != name:
            open_savepoints.pop()
        if words[0] == "release":
            open_savepoints.pop()


_LEVEL = "SET TRANSACTION ISOLATION LEVEL "
_LEVELS = (("serializable",), ("repeatable", "read"), ("read", "committed"), ("read", "uncommitted"))


def _isolation(begin: Statement) -> Pair | None:
    """The isolation level that a BEGIN of PostgreSQL asks for, as the statement that sets it; None where it asks for
    none. READ WRITE is what every migration is, and DEFERRABLE means nothing without READ ONLY, which is refused.
    """
    words = _modes(begin, "postgresql").lower().replace(",", " ").split()
    pairs = list(pairwise(words))
    if ("read", "only") in pairs:
        _refuse(begin, "in a READ ONLY transaction the migration could not be recorded: take READ ONLY out")
    if ("isolation", "level") not in pairs:
        return None
    rest = words[len(words) - 1 - words[::-1].index("level") + 1 :]
    level = next((each for each in _LEVELS if tuple(rest[: len(each)]) == each), None)
    if level is None:
        _refuse(begin, f"{' '.join(words).upper()} is no mode of a transaction that is known here")
    text = f"{_LEVEL}{' '.join(level).upper()}"
    return replace(begin, text=text, copy_data=None), Insight(kind="SET", transactional=True)


def _modes(begin: Statement, dialect: Dialect) -> str:
    """SQLite writes its mode before the word TRANSACTION, PostgreSQL behind it."""
    tokens = [begin.text[start:end] for _, start, end in significant(begin.text, dialect)]
    return " ".join(token for token in tokens if fold(token) not in ("begin", "start", "work", "transaction"))


def _words(statement: Statement, dialect: Dialect) -> list[str]:
    """Words folded, a quoted name without its quotes where the two would name the same."""
    words = []
    for kind, start, end in significant(statement.text, dialect):
        token = statement.text[start:end]
        quoted = kind == "quoted" and (dialect == "sqlite" or token[1:-1] == fold(token[1:-1]))
        words.append(fold(token[1:-1]) if quoted else fold(token) if kind == "word" else token)
    return words


def _refuse(statement: Statement, message: str) -> NoReturn:
    raise SqlSyntaxProblem(message, offset=statement.offset, line=statement.line)
