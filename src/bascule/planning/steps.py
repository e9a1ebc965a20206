"""Cut a script into steps: one transaction where that is possible, else one step a statement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from bascule.domain.migration import Direction, Migration, Script
from bascule.domain.plan import PlannedMigration, Reading, Step
from bascule.domain.statement import Dialect, Effect, Insight, Statement, Touch
from bascule.errors import SourceError
from bascule.planning.meaning import parser_of
from bascule.sql.checksum import semantic_hash, semantic_hash_of
from bascule.sql.classify import inspect
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.split import split
from bascule.sql.touches import script_touch
from bascule.sql.transactions import OwnTransactions, own_transactions

Unit = tuple[tuple[Statement, ...], tuple[Insight, ...]]


def plan_migration(migration: Migration, direction: Direction, dialect: Dialect) -> PlannedMigration:
    """What running one direction of a SQL migration will do.

    Raises:
        SourceError: code ``sql_syntax``, for SQL that cannot be cut into statements.
    """
    script = migration.up if direction == "up" else migration.down
    if script is None:
        raise ValueError(f"{migration.name} has no {direction} script")
    statements, insights = read_script(script, dialect)
    grouped = _grouped(script, statements, insights, dialect)
    transactional = _transactional(script, grouped)
    units = _units(grouped, turned_off=not script.transaction)
    warnings = list(migration.warnings)
    warnings.extend(_said(script, grouped, transactional))
    steps = _whole(units, dialect) if transactional else _stepwise(units, dialect)
    return PlannedMigration(
        migration=migration,
        direction=direction,
        steps=steps,
        transactional=transactional,
        reading=_reading(migration, direction, statements, insights, dialect),
        parser=parser_of(script),
        undecidable=_undecidable(steps),
        destroys=tuple(
            f"line {s.line} {i.destroys}" for s, i in zip(statements, insights, strict=True) if i.destroys is not None
        ),
        warnings=tuple(warnings),
    )


def read_script(script: Script, dialect: Dialect) -> tuple[tuple[Statement, ...], tuple[Insight, ...]]:
    """A script's statements and what is known of each. Raises `SourceError`."""
    statements = _cut(script, dialect)
    return statements, _inspected(statements, dialect)


def _cut(script: Script, dialect: Dialect) -> tuple[Statement, ...]:
    try:
        return split(script.text, dialect, first_line=script.line)
    except SqlSyntaxProblem as problem:
        raise _syntax_error(script, problem) from problem


def _inspected(statements: Sequence[Statement], dialect: Dialect) -> tuple[Insight, ...]:
    return tuple(inspect(statement, dialect) for statement in statements)


def touch_of(migration: Migration, dialect: Dialect) -> Touch:
    """What up and down together may change in the schema, so that the look of before covers what the down will
    touch. Raises `SourceError`.
    """
    statements, insights = read_script(migration.up, dialect) if migration.up.language == "sql" else ((), ())
    return _reading(migration, "up", statements, insights, dialect)().touch


def _reading(
    migration: Migration,
    direction: Direction,
    statements: Sequence[Statement],
    insights: Sequence[Insight],
    dialect: Dialect,
) -> Callable[[], Reading]:
    """One direction has been read; the other one is cut at once, which can fail, and read later, which cannot."""
    up = direction == "up"
    other = migration.down if up else migration.up
    python = any(each and not each.empty and each.language == "python" for each in (migration.up, migration.down))
    rest = () if python or other is None or other.empty else _cut(other, dialect)

    @cache
    def reading() -> Reading:
        digest = semantic_hash_of(statements, dialect)
        if python:
            touch = Touch(everything=True, reasons=("Python code may touch anything",))
            return Reading(touch=touch, semantic_hash=digest)
        others = _inspected(rest, dialect)
        first, second = (insights, others) if up else (others, insights)
        return Reading(touch=script_touch(first) | script_touch(second, back=True), semantic_hash=digest)

    return reading


def _grouped(
    script: Script, statements: Sequence[Statement], insights: Sequence[Insight], dialect: Dialect
) -> OwnTransactions:
    try:
        return own_transactions(statements, insights, dialect)
    except SqlSyntaxProblem as problem:
        raise _syntax_error(script, problem) from problem


def _transactional(script: Script, grouped: OwnTransactions) -> bool:
    """One transaction, unless the author turned it off or wrote several of his own, or a statement refuses to be in
    one.
    """
    if grouped.shape == "several" or not all(
        insight.transactional for block in grouped.blocks for insight in block.insights
    ):
        return False
    return script.transaction or grouped.shape == "whole"


def left_to_itself(insight: Insight) -> Insight:
    """A statement around which its author wants no transaction. A procedure may end transactions, which works only
    where none surrounds the CALL, and which reading the CALL cannot tell: it is run alone, and only a person can say
    after a crash how far it came.
    """
    if insight.kind != "CALL":
        return insight
    return replace(insight, transactional=False, effect=Effect(action="unknown"))


def _units(grouped: OwnTransactions, *, turned_off: bool) -> list[Unit]:
    """What is one step each: an author's BEGIN … COMMIT block, or a single statement."""
    units: list[Unit] = []
    for block in grouped.blocks:
        if grouped.shape == "several" and block.explicit:
            units += [(block.statements, block.insights)] if block.statements else []
            continue
        alone = turned_off or grouped.shape == "several"
        for statement, insight in zip(block.statements, block.insights, strict=True):
            units.append(((statement,), (left_to_itself(insight) if alone else insight,)))
    return units


def _said(script: Script, grouped: OwnTransactions, transactional: bool) -> list[str]:
    """What a person should know about how the file is cut."""
    words = [
        f"BEGIN … {block.modes}: the mode is not used, the migration's own transaction is the default one"
        for block in grouped.blocks
        if block.modes
    ]
    if not script.transaction or transactional:
        return words
    for block in grouped.blocks:
        for statement, insight in zip(block.statements, block.insights, strict=True):
            if not insight.transactional:
                cut = "each statement of the file is a step of its own"
                return [*words, f"line {statement.line}: {insight.kind} cannot run in a transaction, so {cut}"]
    return [*words, "the file holds several transactions of its own, so each of them is a step"]


def _whole(units: Sequence[Unit], dialect: Dialect) -> tuple[Step, ...]:
    statements = tuple(statement for unit in units for statement in unit[0])
    insights = tuple(insight for unit in units for insight in unit[1])
    return (_step(0, "transaction", statements, insights, (), dialect),)


def _stepwise(units: Sequence[Unit], dialect: Dialect) -> tuple[Step, ...]:
    steps: list[Step] = []
    settings: list[str] = []
    for number, (statements, insights) in enumerate(units):
        single = len(statements) == 1
        if single and _only_a_setting(insights[0]) and number < len(units) - 1:
            # A setting does nothing by itself: it goes with every later step, also into the session that resumes.
            settings.append(statements[0].text)
            continue
        bare = single and not insights[0].transactional
        steps.append(_step(len(steps), "bare" if bare else "marked", statements, insights, tuple(settings), dialect))
    return tuple(steps)


def _only_a_setting(insight: Insight) -> bool:
    return insight.session and (insight.transactional or insight.kind == "PRAGMA") and insight.kind != "SELECT"


def _step(
    index: int,
    kind: str,
    statements: tuple[Statement, ...],
    insights: tuple[Insight, ...],
    settings: tuple[str, ...],
    dialect: Dialect,
) -> Step:
    return Step(
        index=index,
        kind=kind,  # type: ignore[arg-type]
        statements=statements,
        insights=insights,
        settings=settings,
        # Only a marked step needs to be recognised again after an edit.
        digest=""
        if kind == "transaction"
        else semantic_hash(";\n".join((*settings, *(_whole_text(statement) for statement in statements))), dialect),
    )


def _whole_text(statement: Statement) -> str:
    return statement.text if statement.copy_data is None else f"{statement.text};\n{statement.copy_data}\\.\n"


def _undecidable(steps: Sequence[Step]) -> tuple[str, ...]:
    words = []
    for step in steps:
        if step.kind == "transaction":
            continue
        for statement, insight in zip(step.statements, step.insights, strict=True):
            if statement.repeatable:
                continue
            if (why := cannot_be_told(insight)) is not None:
                words.append(f"line {statement.line}: {insight.kind} {why}")
            elif insight.temporary and step is not steps[-1]:
                words.append(
                    f"line {statement.line}: {insight.kind} makes a temporary object, which a crash takes away "
                    "from the later steps"
                )
    return tuple(words)


_REWRITES = ("VACUUM FULL", "CLUSTER")
_RUN_CODE = ("CALL", "DO")


def cannot_be_told(insight: Insight) -> str | None:
    """Why, after a crash, the catalog cannot tell whether a statement ran; None where it can."""
    effect = insight.effect
    if effect is None:
        return None
    if effect.action == "create_index" and not effect.name:
        return "gives the index no name, so after a crash it cannot be looked for: name it"
    if effect.action != "unknown":
        return None
    if insight.kind in _REWRITES:
        return (
            "rewrites tables under their strongest lock and leaves no trace in the catalog; after a crash a person has "
            "to say whether it is to run again"
        )
    if insight.kind in _RUN_CODE:
        return "may end its own transactions; after a crash nobody can tell how far it came"
    return "leaves nothing in the catalog to be looked for; after a crash nobody can tell whether it ran"


def _syntax_error(script: Script, problem: SqlSyntaxProblem) -> SourceError:
    return SourceError(
        f"{script.path}:{problem.line}: {problem.message}",
        code="sql_syntax",
        hint="Nothing was run. Correct the file and run again.",
        details={"path": script.path, "line": problem.line},
    )
