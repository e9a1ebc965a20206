"""What a verb works with: the context made of the settings, and what a run needs around it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bascule.cli.call import Call
from bascule.cli.output import on_a_terminal

if TYPE_CHECKING:
    from bascule.cli.stopping import Stop
    from bascule.config.settings import Settings
    from bascule.services.context import Context


@contextmanager
def reading(call: Call) -> Iterator[Context]:
    """A context for verbs that only look."""
    from bascule import wiring

    context = wiring.context(call.settings, publish=_nobody, say=call.output.note, read_only=True)
    try:
        yield context
    finally:
        context.target.close()


@contextmanager
def changing(call: Call, *, progress: bool = True, looks: bool = False) -> Iterator[Context]:
    """A context for verbs that change something: progress, questions on a terminal, a clean end on a signal, and a line
    in the audit log before and after (not where the verb, as it was called, only `looks`).
    """
    from bascule import wiring
    from bascule.cli.stopping import Stop
    from bascule.monitoring.bus import Bus

    settings = call.settings
    with ExitStack() as stack:
        bus = Bus()
        if progress and not call.output.quiet:
            from bascule.cli.progress import progress_for

            drawn = progress_for(call.output.straight)
            stack.callback(drawn.close)
            stack.enter_context(call.output.through(drawn.line))
            bus.subscribe(drawn)
            call.output.followed = on_a_terminal(sys.stdout, sys.stderr)
        stop = stack.enter_context(Stop(call.output.insist))
        context = wiring.context(
            settings,
            publish=bus.publish,
            say=call.output.note,
            confirm=_question(call, stop),
            stopping=stop,
        )
        stack.callback(context.target.close)
        if not looks:
            stack.callback(_keep_measured, settings, context)
        stop.cancels(context.target.cancel)
        _collect_garbage()
        if looks:
            yield context
            return
        from bascule.services.trail import audited

        try:
            with audited(context, *_asked()):
                yield context
        finally:
            line = context.trail.last if context.trail is not None else None
            if line is not None:
                call.output.note(f"Audit log: {line.number}:{line.mac}")


def _keep_measured(settings: Settings, context: Context) -> None:
    from bascule import wiring
    from bascule.services.performance import keep_measured

    if keep_measured(context):
        wiring.keep_textfile(settings, context)
    wiring.keep_watch(settings, context)
    wiring.tell_otel(settings, context)


def _asked() -> tuple[str, dict[str, object]]:
    """The verb as it was called, for the audit log: ``backup create`` and its options that are set."""
    import click

    asked = click.get_current_context()
    names = asked.command_path.split()[1:] or ["bascule"]
    given = {name: value for name, value in asked.params.items() if value not in (None, False, (), "")}
    return " ".join(names), given


def _collect_garbage() -> None:
    """From here on, for work may be long; commands that only look are over before it pays, so it has been off since the
    process began. What is loaded by now stays to the end and is not looked at, and ten thousand migrations are no
    garbage yet.
    """
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()


def asks(call: Call) -> bool:
    """Somebody is there to answer a question, and it has not been answered beforehand."""
    return not call.yes and on_a_terminal(sys.stdin, sys.stderr)


def _question(call: Call, stop: Stop) -> Callable[[str], bool] | None:
    if not asks(call):
        return None

    def confirm(question: str) -> bool:
        import click

        with stop.answering():
            return click.confirm(call.output.clean(question), default=False, err=True)

    return confirm


def _nobody(_event: object) -> None:
    """Nobody listens to a verb that only looks."""
