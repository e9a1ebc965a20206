"""From a failed piece of work to the error a person reads: what happened, what is now true, what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bascule.domain.history import Fact
from bascule.domain.migration import Script
from bascule.domain.plan import PlannedMigration, Step
from bascule.domain.statement import Statement
from bascule.engine.decide import BEGUN
from bascule.errors import (
    BasculeError,
    Interrupted,
    LockNotAvailable,
    MigrationFailed,
    Refused,
    State,
    TargetUnreachable,
    UsageError,
)
from bascule.ports.database import WorkFailed
from bascule.services.context import Context
from bascule.sql.passwords import without_passwords

Left = tuple[State, str]
"""What a statement outside any transaction left behind, and the same in words."""


def failed(
    context: Context,
    planned: PlannedMigration,
    run_id: str,
    failure: WorkFailed,
    step: Step | None,
    left: Left | None = None,
) -> BasculeError:
    """The error for a failure, after looking at what the database kept, with the fact of it written to the journal.

    `left`: what the failed step left behind although it has no mark.
    """
    state, truth = _truth(context, planned, failure)
    if left is not None and failure.kind != "lost":
        state, truth = (left[0] if state == "unchanged" else state), f"{truth} {left[1]}"
    statement = _statement(planned, failure, step)
    where = _where(context, planned, failure, statement)
    kind = "run_interrupted" if failure.kind == "cancelled" and context.stopping() else "run_failed"
    data: dict[str, Any] = {
        "error": failure.message,
        "sqlstate": failure.sqlstate or None,
        "line": statement.line if statement else None,
        "state": state,
        "estimatedMs": planned.estimated_ms,
        "next": _advice(planned, failure, state),
    }
    fact = Fact(
        kind=kind,
        run_id=run_id,
        migration=planned.name,
        direction=planned.direction,
        step=step.index if step and not planned.transactional else None,
        data={key: value for key, value in data.items() if value is not None},
    )
    _write(context, fact)
    message = "\n".join(part for part in (where, *words_of(failure), truth) if part)
    details = _details(planned, failure, statement)
    if failure.kind == "cancelled":
        signal = context.stopping() or "a request"
        return Interrupted(
            f"{planned.name} was stopped by {signal}.\n{truth}",
            hint=_run_again(planned, state),
            state=state,
            details=details,
        )
    if failure.kind == "lock_timeout":
        return LockNotAvailable(message, hint=_lock_hint(failure), state=state, details=details)
    return MigrationFailed(
        message,
        code=_CODES.get(failure.kind, "failed"),
        hint=_hint(planned, failure, state),
        state=state,
        details=details,
    )


def broken_off(context: Context, planned: PlannedMigration, run_id: str, error: BasculeError) -> BasculeError:
    """The same error, true of the whole run: a port that fails between two pieces of work knows only of its own.

    A connection that cannot be had any more in the middle of a run is a failed run, not a wrong address.
    """
    if error.state != "unchanged":
        return error
    if isinstance(error, TargetUnreachable):
        return failed(context, planned, run_id, WorkFailed("lost", error.message), None)
    state, truth = _truth(context, planned, WorkFailed("error", error.message))
    return error if state == "unchanged" else owning_up(error, state, truth)


def owning_up(error: BasculeError, state: State, truth: str) -> BasculeError:
    """An error that says "unchanged", after something has changed. What was refused beforehand then is a failure."""
    if isinstance(error, Refused | UsageError):
        return MigrationFailed(
            f"{error.message}\n{truth}", code=error.code, hint=error.hint, state=state, details=error.details
        )
    error.message += f"\n{truth}"
    error.state = state
    return error


_CODES = {
    "lost": "connection_lost",
    "fence": "lease_lost",
    "timeout": "statement_timeout",
    "full": "disk_full",
    "deadlock": "deadlock",
    "serialization": "serialization_failure",
}


def _truth(context: Context, planned: PlannedMigration, failure: WorkFailed) -> tuple[State, str]:
    """What the database kept. Asked, where it can be asked; said to be unknown where it cannot."""
    if failure.kind == "lost":
        return "unknown", "The server cannot be asked what it did; the next run finds out before it does anything."
    try:
        applied = any(entry.name == planned.name for entry in context.target.ledger())
        everything = context.target.marks()
        marks = everything.get((planned.name, planned.direction), {})
    except (BasculeError, WorkFailed):
        return (
            "unknown",
            "The server does not answer any more; the next run finds out what it did before it does anything.",
        )
    # The way back of a script that was only half applied: its marks go when it is done, so with them it is not.
    half_applied = planned.direction == "down" and (planned.name, "up") in everything
    if applied == (planned.direction == "up") and not half_applied:
        if failure.kind == "fence":
            return "changed", f"{planned.name} is done, whole; the process that has taken over may have done it."
        return "changed", f"{planned.name} had already been committed: it is done, whole."
    done = sum(1 for index in marks if index != BEGUN)
    if done:
        steps = f"{done} of {len(planned.steps)} steps" if _counted(planned) else f"{done} step{'s' * (done > 1)}"
        return (
            "changed",
            f"{steps} of {planned.name} {'is' if steps == '1 step' else 'are'} done and stay; it goes on from there.",
        )
    if BEGUN in marks and any(step.kind == "bare" for step in planned.steps):
        return "unchanged", f"No step of {planned.name} is done."
    return "unchanged", f"Nothing of {planned.name} was kept; the database is as it was before it."


def _counted(planned: PlannedMigration) -> bool:
    """How many steps an author's Python function has is known only when it has run to its end."""
    return all(step.kind != "python" for step in planned.steps)


def _statement(planned: PlannedMigration, failure: WorkFailed, step: Step | None) -> Statement | None:
    if step is None:
        return None
    if step.kind == "bare":
        return step.statements[0]
    if failure.statement is not None and failure.statement < len(step.statements):
        return step.statements[failure.statement]
    return None


def _where(context: Context, planned: PlannedMigration, failure: WorkFailed, statement: Statement | None) -> str:
    script = planned.migration.up if planned.direction == "up" else planned.migration.down
    path = script.path if script else planned.migration.ref.path
    doing = "" if planned.direction == "up" else "rolling back "
    if statement is None:
        author_line = _line_in_python(context, script, failure)
        return f"{doing}{planned.name} failed " + (f"at {path}:{author_line}." if author_line else f"({path}).")
    line = statement.line
    if failure.position is not None:
        line += statement.text.count("\n", 0, failure.position)
    text = " ".join(without_passwords(statement.text).split())
    text = text if len(text) <= 300 else text[:299] + "…"
    return f"{doing}{planned.name} failed at {path}:{line}, statement {statement.index + 1}: {text}"


def _line_in_python(context: Context, script: Script | None, failure: WorkFailed) -> int | None:
    if script is None or script.language != "python" or failure.__cause__ is None:
        return None
    python = context.python()
    return python.line_of(failure.__cause__, script) if python is not None else None


def words_of(failure: WorkFailed) -> list[str]:
    """The server's own words, with detail, its hint and ours, and who was in the way."""
    words = [failure.message]
    if '"$"' in failure.message:
        words.append("If ${…} was meant as a variable: no variables are declared in the settings.")
    if failure.detail:
        words.append(f"Detail: {failure.detail}")
    if failure.server_hint:
        words.append(f"Server's hint: {failure.server_hint}")
    if failure.hint:
        words.append(f"Hint: {failure.hint}")
    if failure.context:
        words.append(f"Context: {failure.context}")
    words.extend(f"Blocked by {blocker}" for blocker in failure.blockers)
    return words


def _advice(planned: PlannedMigration, failure: WorkFailed, state: State) -> str:
    """What to do next, as the error says it too."""
    if failure.kind == "cancelled":
        return _run_again(planned, state)
    return _lock_hint(failure) if failure.kind == "lock_timeout" else _hint(planned, failure, state)


def _hint(planned: PlannedMigration, failure: WorkFailed, state: State) -> str:
    if failure.kind == "lost":
        return "Run the same command again when the server is back."
    if failure.kind == "fence":
        return (
            "Another process took over because this one did not renew its lease in time. "
            "Run again: what is done stays done."
        )
    if failure.kind == "full":
        return "Make room, then run again."
    if failure.kind == "timeout":
        return "Raise statement_timeout for this migration, or make it smaller, then run again."
    if failure.kind in ("deadlock", "serialization"):
        return "It clashed with the application every time it was tried. Run again when it is quieter."
    if failure.sqlstate == "55P04":
        return (
            "A new value of an enum can be used once it is committed: write `-- migrate:up transaction:false` above "
            "the script, or use the value in a migration of its own, then run again."
        )
    if failure.sqlstate in ("2D000", "25001") and state == "unchanged":
        return "It wants no transaction around it: write `-- migrate:up transaction:false` above it, then run again."
    return _next(planned, state)


def _run_again(planned: PlannedMigration, state: State) -> str:
    verb = "up" if planned.direction == "up" else "rollback"
    return f"Run bascule {verb} again: it {'goes on there' if state == 'changed' else 'begins anew'}."


def _next(planned: PlannedMigration, state: State) -> str:
    verb = "up" if planned.direction == "up" else "rollback"
    if state == "changed":
        return (
            f"Correct the rest of the file (what is done must stay as it is), then run bascule {verb} again: "
            "it goes on there."
        )
    return f"Correct the file, then run bascule {verb} again."


def _lock_hint(failure: WorkFailed) -> str:
    if failure.blockers:
        return "Let the blocking session end (or end it), then run again; lock_retry says how long to keep trying."
    return "Run again when it is quieter; lock_retry says how long to keep trying."


def _details(planned: PlannedMigration, failure: WorkFailed, statement: Statement | None) -> dict[str, Any]:
    details: dict[str, Any] = {"migration": planned.name, "server": failure.message}
    if failure.sqlstate:
        details["sqlstate"] = failure.sqlstate
    if statement is not None:
        details["line"] = statement.line
        details["statement"] = without_passwords(statement.text)[:2000]
    if failure.detail:
        details["detail"] = failure.detail
    if failure.server_hint:
        details["serverHint"] = failure.server_hint
    if failure.hint:
        details["advice"] = failure.hint
    if failure.blockers:
        details["blockers"] = list(failure.blockers)
    return details


def _write(context: Context, fact: Fact) -> None:
    """The failure goes to the journal if it can; that it cannot must not hide the failure itself."""
    try:
        context.target.append((fact,), durable=True)
    except (BasculeError, WorkFailed) as problem:
        context.say(f"The failure could not be written to the journal: {problem}")


@contextmanager
def unplanned(name: str) -> Iterator[None]:
    """Turn a failure of bookkeeping alone (no script ran) into the error a person reads."""
    try:
        yield
    except WorkFailed as failure:
        if failure.kind == "lock_timeout":
            raise LockNotAvailable("\n".join(words_of(failure)), hint=_lock_hint(failure)) from failure
        state: State = "unknown" if failure.kind == "lost" else "unchanged"
        raise MigrationFailed(
            "\n".join((f"The ledger entry of {name} could not be written.", *words_of(failure))),
            code=_CODES.get(failure.kind, "failed"),
            hint="Run the same command again.",
            state=state,
        ) from failure
