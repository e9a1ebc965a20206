"""From statements to what has to be kept before each of them: pure, the database is asked later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from bascule.domain.plan import PlannedMigration, Step
from bascule.domain.preimage import Keep
from bascule.domain.statement import Dialect, Insight, Statement
from bascule.rollback.preimage_reading import Read, made, read_destroying
from bascule.sql.declined import Declined, declined_in

_ROLES = re.compile(r"\b(?:role|authorization)\b", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class _Script:
    """What the statements so far have said."""

    dialect: Dialect
    tables: set[str] = field(default_factory=set)
    """Made by this script: they hold nothing that was there before."""
    columns: set[tuple[str, str]] = field(default_factory=set)
    remade: frozenset[str] = frozenset()
    """Names that the script gives to a table that it makes."""
    role: bool = False
    """The script works as another role, which has no right to Bascule's schema."""


def keeps_of(planned: PlannedMigration, dialect: Dialect) -> dict[int, tuple[Keep, ...]]:
    """By step, what is to be kept of what its statements destroy; steps that destroy nothing are left out.
    A repeatable one is never rolled back.

    Of a Python migration the statements are known only from a recording, so nothing is kept in front of them.
    """
    if planned.direction != "up" or not planned.destroys or planned.migration.ref.repeatable:
        return {}
    declined = declined_in(planned.migration.up.text, planned.statements)
    script = _Script(dialect=dialect, remade=_remade(planned, dialect))
    found = {}
    for step in planned.steps:
        keeps = tuple(_of_step(step, script, declined))
        if keeps:
            found[step.index] = keeps
    return found


def _of_step(step: Step, script: _Script, declined: Declined) -> Iterator[Keep]:
    if step.kind == "python":
        yield from _python(step)
        return
    script.role = script.role or any(map(_ROLES.search, step.settings))
    for at, (statement, insight) in enumerate(zip(step.statements, step.insights, strict=True)):
        script.role = script.role or (insight.session and _ROLES.search(statement.text) is not None)
        if insight.destroys is not None:
            for keep in _of_statement(at, statement, insight, script):
                if statement.index in declined:
                    yield replace(keep, why=declined[statement.index])
                elif step.kind == "bare":
                    yield replace(keep, why="it runs outside of a transaction")
                elif script.role and script.dialect == "postgresql":
                    yield replace(keep, why="the script works as another role")
                else:
                    yield keep
        tables, columns = made(statement, insight, script.dialect)
        script.tables |= tables
        script.columns |= columns


def _python(step: Step) -> Iterator[Keep]:
    for at, (statement, insight) in enumerate(zip(step.statements, step.insights, strict=True)):
        if insight.destroys is not None:
            yield Keep(
                index=at,
                ordinal=statement.index,
                kind="table",
                words=f"line {statement.line} {insight.destroys}",
                name="",
                why="what Python does is known only when it runs",
            )


def _of_statement(at: int, statement: Statement, insight: Insight, script: _Script) -> Iterator[Keep]:
    for read in read_destroying(statement, insight, script.dialect):
        if _is_own(read, script):
            continue
        why = read.why
        kind = read.kind
        if kind == "table" and read.name in script.remade:
            kind = "rebuilt"
            if script.dialect == "postgresql":
                why = f"{read.name} is made anew by the same script"
        yield Keep(
            index=at,
            ordinal=statement.index,
            kind=kind,
            words=f"line {statement.line} {read.words or insight.destroys}",
            name=read.name,
            schema=read.schema,
            columns=tuple(each for each in read.columns if (read.name, each) not in script.columns),
            where=read.where,
            alias=read.alias,
            why=why,
        )


def _is_own(read: Read, script: _Script) -> bool:
    """It destroys only what the same script has made before."""
    if read.name in script.tables:
        return True
    return bool(read.columns) and all((read.name, each) in script.columns for each in read.columns)


_RENAMED = re.compile(r"\brename\s+to\s+(\"(?:[^\"]|\"\")+\"|[\w$]+)\s*$", re.IGNORECASE)


def _remade(planned: PlannedMigration, dialect: Dialect) -> frozenset[str]:
    """Names of dropped tables that a later statement gives to another table."""
    names = set()
    for _, later in pairwise(planned.statements):
        if (found := _RENAMED.search(later.text)) is not None:
            name = found[1]
            plain = name[1:-1].replace('""', '"') if name[0] == '"' else name.lower()
            names.add(plain.lower() if dialect == "sqlite" else plain)
    return frozenset(names)
