"""Run the project's own scripts before and after an up or a rollback, under the same lease."""

from __future__ import annotations

from typing import Literal

from bascule.domain.migration import Hook, HookEvent, Migration, MigrationRef
from bascule.errors import MigrationFailed
from bascule.planning.steps import plan_migration
from bascule.ports.database import Job, Lease, WorkFailed
from bascule.services.context import Context
from bascule.services.failures import words_of
from bascule.services.runs import RunNames
from bascule.services.trying import Attempts


def run_hooks(context: Context, lease: Lease, event: HookEvent) -> None:
    """Run the hooks of one moment, each in one transaction.

    Raises:
        MigrationFailed: code ``hook_failed``. A failed hook before the run stops it with nothing changed; one
            after the run leaves what the run did.
        SourceError: a hook that cannot be read.
    """
    for hook in context.hooks():
        if hook.event == event and not hook.script.empty:
            _run(context, lease, hook)


def hooks_around(context: Context, direction: Literal["up", "rollback"]) -> str:
    """What runs besides the migrations, in words that end a sentence; empty where nothing does."""
    words = hooks_of(context, direction)
    return f", with {' and '.join(words)}" if words else ""


def hooks_of(context: Context, direction: Literal["up", "rollback"]) -> tuple[str, ...]:
    """The scripts that run besides, each with when."""
    there = {hook.event: hook.script.path for hook in context.hooks() if not hook.script.empty}
    events = ((f"before_{direction}", "before"), (f"after_{direction}", "after"))
    return tuple(f"{there[event]} {when}" for event, when in events if event in there)


def _run(context: Context, lease: Lease, hook: Hook) -> None:
    planned = plan_migration(_as_migration(hook), "up", context.target.dialect)
    if not planned.transactional:
        raise MigrationFailed(
            f"{hook.script.path} cannot run in one transaction: {planned.warnings[-1]}.",
            code="hook_failed",
            hint="A hook is one transaction; move such a statement into a migration.",
        )
    name = f"hooks/{hook.event}"
    job = Job(
        run_id=RunNames(context.clock).mint(name),
        migration=name,
        direction="up",
        statements=planned.statements,
    )
    context.say(f"Running {name}.sql")
    try:
        Attempts(context=context, lease=lease, tell=lambda words, blockers: None).perform(
            job, watch=None, meanwhile=None
        )
    except WorkFailed as failure:
        after = hook.event.startswith("after")
        raise MigrationFailed(
            "\n".join((f"{hook.script.path} failed.", *words_of(failure))),
            code="hook_failed",
            hint="What ran before it stays as it is; run the hook's statements by hand, or correct it for the next run."
            if after
            else "Nothing was run. Correct the hook and run again.",
            state="unknown" if failure.kind == "lost" else "changed" if after else "unchanged",
        ) from failure


def _as_migration(hook: Hook) -> Migration:
    ref = MigrationRef(name=f"hooks/{hook.event}", version="", order=(), path=hook.script.path)
    return Migration(ref=ref, up=hook.script, down=None, exact_hash="")
