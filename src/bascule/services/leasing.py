"""Taking the lease, waiting for it in the open, and giving it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bascule.domain.history import Holder
from bascule.errors import Interrupted, LockNotAvailable
from bascule.ports.database import Lease
from bascule.services.context import Context

SAY_AGAIN = 30.0
"""Seconds between two lines that say who is being waited for."""


def held_by(holder: Holder) -> LockNotAvailable:
    """Somebody else has the lease."""
    return LockNotAvailable(
        f"{holder.owner} is migrating this database (since {holder.since:%H:%M:%S} UTC, run {holder.run}).",
        code="lease_held",
        hint="Wait for it, or allow more time with --lock-wait. A process that died is taken over by itself.",
        details={"holder": {"owner": holder.owner, "run": holder.run, "since": holder.since.isoformat()}},
    )


@contextmanager
def leased(context: Context, run: str, *, needless: Callable[[], bool] | None = None) -> Iterator[Lease | None]:
    """Hold the lease for the length of the block.

    Waits up to the policy's `lock_wait` and says whom it waits for. `needless` is asked between tries: when it
    answers True while
    somebody else holds the lease (the other process did the work), the block gets None and nothing was taken.

    Raises:
        LockNotAvailable: the wait is over; the message names the holder.
        NeedsPerson: the former holder's server process is still at work and may not be ended.
        Interrupted: told to stop while waiting.
    """
    if context.trail is not None:
        # Whoever cannot be written down gets nothing to change anything with.
        context.trail.begin()
    lease = _take(context, run, needless)
    if lease is None:
        yield None
        return
    try:
        if lease.taken_from is not None:
            from bascule.services.broken_off import write_down

            write_down(context, lease)
        yield lease
    finally:
        lease.release()


def _take(context: Context, run: str, needless: Callable[[], bool] | None) -> Lease | None:
    clock, wait = context.clock, context.policy.lock_wait
    begun = clock.monotonic()
    said: tuple[float, int] | None = None
    pause = 0.03
    while True:
        answer = context.target.acquire(owner=context.owner, run=run)
        if not isinstance(answer, Holder):
            if answer.taken_from is not None:
                context.say(f"Taken over from {answer.taken_from.owner}, which no longer renews its lease.")
            return answer
        if needless is not None and needless():
            return None
        elapsed = clock.monotonic() - begun
        if elapsed >= wait:
            raise held_by(answer)
        if said is None or answer.token != said[1] or elapsed - said[0] >= SAY_AGAIN:
            context.say(f"Waiting for {answer.owner}, which is migrating this database (run {answer.run}).")
            said = (elapsed, answer.token)
        signal = context.stopping()
        if signal:
            raise Interrupted(f"Stopped by {signal} while waiting for {answer.owner}.", hint="Nothing was begun.")
        # Half of the pause is chance: fifty waiters must not come back in the same instant.
        clock.sleep(min(pause * (0.5 + clock.jitter()), max(0.0, wait - elapsed)))
        pause = min(pause * 1.5, 0.5)
