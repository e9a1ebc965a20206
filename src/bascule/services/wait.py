"""Block until the schema is there: for an application that starts beside its migration job."""

from __future__ import annotations

from bascule.errors import Interrupted, LockNotAvailable, TargetUnreachable
from bascule.planning.names import find
from bascule.services.context import Context
from bascule.services.report import Report
from bascule.services.situation import look

PAUSE = 0.5


def wait(context: Context, *, to: str | None = None, timeout: float = 300.0) -> Report:
    """Wait until nothing is pending (or `to` is applied), at most `timeout` seconds. A server that does not answer
    yet is waited for.

    Raises:
        LockNotAvailable: code ``wait_timeout`` (exit 4), naming what is still missing.
        Interrupted: told to stop.
    """
    refs = context.source.listing()
    wanted = find(to, refs).name if to is not None else None
    begun = context.clock.monotonic()
    while True:
        missing, problem = _missing(context, wanted)
        if problem is None and not missing:
            return Report(success=True, message=f"{wanted} is applied." if wanted else "Every migration is applied.")
        if context.stopping():
            raise Interrupted(
                f"Stopped by {context.stopping()} while waiting.", hint="Nothing was changed by this command."
            )
        left = timeout - (context.clock.monotonic() - begun)
        if left <= 0:
            words = problem or f"Not applied yet after {timeout:g} s: {', '.join(missing[:5])}" + (
                "…" if len(missing) > 5 else "."
            )
            raise LockNotAvailable(words, code="wait_timeout", hint="See bascule status, or allow more with --timeout.")
        context.clock.sleep(min(PAUSE, left))


def _missing(context: Context, wanted: str | None) -> tuple[list[str], str | None]:
    try:
        situation = look(context)
    except TargetUnreachable as unreachable:
        return [], unreachable.message
    if wanted is not None:
        return ([] if wanted in situation.ledger else [wanted]), None
    half_done = [name for name, _ in situation.marks]
    return [*(ref.name for ref in situation.pending()), *half_done], None
