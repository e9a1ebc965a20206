"""Every attempt to change something is in the audit log before it begins, and its outcome after it.

Where the first of the two lines cannot be written nothing begins. Where the second one cannot, what was done is done:
the person is told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from bascule.access.audit_chain import AuditLine, Head
from bascule.errors import BasculeError, Interrupted, LockNotAvailable, Refused, UsageError
from bascule.services.context import Context

if TYPE_CHECKING:
    from bascule.ports.clock import Clock
    from bascule.ports.database import Target
    from bascule.ports.state import StateDoor


_PLAIN: Final = (
    "newer_ledger",
    "foreign_schema",
    "sidecar_broken",
    "sidecar_mismatch",
    "read_only",
    "no_rights",
    "config",
)
"""Troubles of the target as a whole, which are told as every other part of Bascule tells them."""


_GUARDED: Final = frozenset({"protected", "plan_unapproved", "environment_mismatch", "own_plan", "plan_unsigned"})
"""Refusals because of who asks, or of what it was asked of: somebody may have tried what he may not."""

_MOST: Final = 100
"""Migrations that a line names."""


class Heads(Protocol):
    """Where the newest line's number and code are kept outside of the log."""

    def read(self, target: str) -> Head | None:
        """What was noted of a target. Raises OSError, ValueError."""

    def others(self, target: str) -> Mapping[str, Head]:
        """What was noted at the same address of targets that called themselves otherwise. Raises OSError,
        ValueError.
        """

    def note(self, target: str, head: Head) -> None:
        """Keep it. Raises OSError, ValueError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    action: str
    what: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Trail:
    """Writes the lines of one process."""

    door: Callable[[], StateDoor]
    """A door to the state store for the moment."""
    key: Callable[[], bytes | None]
    clock: Clock
    who: str
    where: str
    heads: Heads
    clean: Callable[[str], str] = str
    """Takes secrets out of a text."""
    asked: _Asked | None = None
    """What is under way and not yet written down."""
    number: int | None = None
    """The line of what is under way."""
    ran: list[str] = field(default_factory=list)
    """Migrations that it has applied or rolled back so far: more may have run than the one that was named."""
    last: AuditLine | None = None
    """The newest line that this process wrote about an outcome."""
    wrote: bool = False
    """This process has written a line."""
    before: Head | None = None
    """The head that was kept outside when it wrote its first."""

    def ask(self, action: str, what: Mapping[str, Any]) -> None:
        """Something is about to be attempted. Nothing is written yet."""
        self.asked, self.number, self.ran = _Asked(action=action, what=what), None, []

    def begin(self) -> None:
        """Write the attempt down, once. Raises `Refused` (code ``audit_unwritable``) when that cannot be done: then
        nothing may begin.
        """
        if self.asked is None or self.number is not None:
            return
        entry = {"action": self.asked.action, "what": self.asked.what, "decision": "allowed", "outcome": "asked"}
        try:
            self.number = self.write(entry).number
        except (BasculeError, OSError) as problem:
            if isinstance(problem, BasculeError) and problem.code in _PLAIN:
                raise
            raise Refused(
                f"The audit log cannot be written, so nothing was started: {getattr(problem, 'message', problem)}",
                code="audit_unwritable",
                hint=getattr(problem, "hint", "") or "Look at the state store of this target.",
            ) from problem

    def end(self, outcome: str, **more: Any) -> AuditLine | None:
        """Write what came of it; None where nothing was under way. Raises as `write`."""
        asked, number = self.asked, self.number
        self.asked = self.number = None
        if asked is None:
            return None
        entry = {"action": asked.action, "outcome": outcome, **more}
        if self.ran:
            entry |= {"ran": self.ran[:_MOST], "ranInAll": len(self.ran)}
        if number is None:
            return self.write({"what": asked.what, "decision": "denied", **entry})
        decision = "denied" if more.get("code") in _GUARDED else "allowed"
        return self.write({"attempt": number, "decision": decision, **entry})

    def write(self, entry: Mapping[str, Any], *, who: str | None = None, where: str | None = None) -> AuditLine:
        """The next line. Raises as the state store does."""
        from bascule.services.concealed import concealed
        from bascule.state.audit import append

        door = self.door()
        try:
            told = concealed({"who": who or self.who, "from": where or self.where, **entry}, self.clean)
            written = append(door, told, at=self.clock.now(), key=self.key())
            self._note(door, Head(number=written.number, mac=written.mac))
            return written
        finally:
            door.close()

    def _note(self, door: StateDoor, head: Head) -> None:
        """Keep the head outside, unless the one that is kept is not in the log any more: lines that were written after
        a cut must not hide it.
        """
        from bascule.state.audit import mac_of

        with suppress(OSError, ValueError):
            known = self.heads.read(door.about())
            if not self.wrote:
                self.before, self.wrote = known, True
            if known is None or (known.number < head.number and mac_of(door, known.number) == known.mac):
                self.heads.note(door.about(), head)


@contextmanager
def audited(context: Context, action: str, what: Mapping[str, Any]) -> Iterator[Context]:
    """The block is an attempt at something that changes the target or what is kept of it.

    On a target where Bascule keeps nothing yet, the attempt is written when the lease is asked for: a call that is
    refused before leaves such a database as it was. Raises `Refused` (code ``audit_unwritable``).
    """
    with context.telemetry.around(action) if context.telemetry is not None else nullcontext():
        yield from _written(context, action, what)


def _written(context: Context, action: str, what: Mapping[str, Any]) -> Iterator[Context]:
    if context.trail is None:
        yield context
        return
    with attempted(context.trail, context.target, context.say, action, what):
        yield context


@contextmanager
def attempted(
    trail: Trail, target: Target, say: Callable[[str], None], action: str, what: Mapping[str, Any]
) -> Iterator[None]:
    """As `audited`, where there is no more than a target. Raises as that."""
    trail.ask(action, what)
    if target.describe().prepared:
        trail.begin()
    try:
        yield
    except BaseException as error:
        _end(trail, target, say, *_told(error))
        raise
    _end(trail, target, say, "done", {})


def _end(trail: Trail, target: Target, say: Callable[[str], None], outcome: str, more: Mapping[str, Any]) -> None:
    if trail.number is None:
        with suppress(BasculeError):
            if outcome in ("refused", "denied") and target.describe().prepared:
                trail.end(outcome, **more)
        trail.asked = None
        return
    try:
        line = trail.end(outcome, **more)
    except (BasculeError, OSError) as problem:
        say(f"The audit log does not tell how this ended: {getattr(problem, 'message', problem)}")
        return
    trail.last = line


def _told(error: BaseException) -> tuple[str, dict[str, Any]]:
    """The outcome in a word, and what else is known of it."""
    if not isinstance(error, BasculeError):
        return ("interrupted" if isinstance(error, KeyboardInterrupt) else "failed"), {"error": type(error).__name__}
    known = {"code": error.code, "state": error.state, "message": error.message}
    if isinstance(error, Interrupted):
        return "interrupted", known
    if isinstance(error, Refused | UsageError | LockNotAvailable):
        return "refused", known
    return "failed", known


def with_trail(context: Context, trail: Trail) -> Context:
    """The same context, whose attempts another trail writes down."""
    return dataclasses.replace(context, trail=trail)
