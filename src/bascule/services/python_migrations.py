"""Python migrations, planned by a recorder that has no database."""

from __future__ import annotations

from bascule.domain.migration import Direction, Migration, Script
from bascule.domain.plan import PlannedMigration, Reading, Step
from bascule.domain.statement import Touch
from bascule.errors import ConfigError, SourceError
from bascule.planning.meaning import meaning, parser_of
from bascule.ports.python import PythonScripts, Recording
from bascule.services.context import Context
from bascule.sql.classify import inspect
from bascule.sql.postgres.bodies import speaks_beyond_the_schema
from bascule.sql.touches import script_touch


def plan_python(context: Context, migration: Migration, direction: Direction) -> PlannedMigration:
    """What one direction of a Python migration will do, as far as the recorder can tell.

    Raises:
        SourceError: code ``python_failed``, when the file or the function raises: nothing was run.
        ConfigError: the extra is not installed.
    """
    script = migration.up if direction == "up" else migration.down
    assert script is not None, "a direction without a script is never planned"
    recording = _record(context, script, direction)
    if recording.error is not None:
        line = f":{recording.error_line}" if recording.error_line else ""
        raise SourceError(
            f"{script.path}{line}: {recording.error}",
            code="python_failed",
            hint=recording.hint or "Nothing was run. Correct the file and run again.",
        )
    insights = tuple(inspect(statement, context.target.dialect) for statement in recording.statements)
    step = Step(index=0, kind="python", statements=recording.statements, insights=insights)
    warnings = [recording.depends_on_data] if recording.depends_on_data else []
    warnings += [
        f"line {recording.statements[index].line} runs in batches, each its own transaction"
        for index in recording.batched
    ]
    reading = Reading(
        touch=_touch(context, migration, direction, recording),
        semantic_hash=meaning(script, context.target.dialect),
    )
    return PlannedMigration(
        migration=migration,
        direction=direction,
        steps=(step,),
        transactional=script.transaction,
        reading=lambda: reading,
        parser=parser_of(script),
        destroys=tuple(
            f"line {statement.line} {insight.destroys}"
            for statement, insight in zip(recording.statements, insights, strict=True)
            if insight.destroys
        ),
        warnings=(*migration.warnings, *warnings),
    )


def _not_known(script: Script, function: str) -> Touch:
    """All of the schema, and what is beyond it where the author's text speaks of that."""
    why = speaks_beyond_the_schema(script.text)
    unseen = f"what {function}(op) does cannot be known beforehand, and its text says {why}"
    return Touch(
        everything=True,
        reasons=(f"what {function}(op) does cannot be known beforehand",),
        unseen=() if why is None else (unseen,),
    )


def scripts(context: Context) -> PythonScripts:
    """Who runs the author's Python."""
    found = context.python()
    if found is None:
        raise ConfigError(
            "Python migrations need SQLAlchemy and Alembic's operations, which are not installed.",
            hint="pip install 'bascule[alembic]'",
        )
    return found


def _record(context: Context, script: Script, direction: Direction) -> Recording:
    return scripts(context).record(
        script, direction, dialect=context.target.dialect, server_version=context.target.describe().version
    )


def _touch(context: Context, migration: Migration, direction: Direction, recording: Recording) -> Touch:
    """Up and down together, the same whichever of them is planned; everything, where one of them cannot be known
    beforehand.
    """
    touch = Touch()
    for each, script in (("up", migration.up), ("down", migration.down)):
        if script is None or script.empty:
            continue
        known = recording if each == direction else _record(context, script, "up" if each == "up" else "down")
        insights = [inspect(statement, context.target.dialect) for statement in known.statements]
        touch = touch | script_touch(insights)
        if known.error or known.depends_on_data:
            touch = touch | _not_known(script, each)
    return touch
