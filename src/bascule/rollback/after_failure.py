"""What is done when a run has failed, or has broken the data: decided from what is known, before anything is touched.

Each policy is a pure function of `Signals`. None of them undoes what was committed before by other migrations, and none
touches a state that this process cannot judge: a lease that is another's, a connection that broke in the middle, a
question that is open already.

| policy | acts by itself |
| --- | --- |
| ``careful`` | where nothing is lost; in production only by what was kept of the rows |
| ``down`` | by the way back of the statements, even one that takes rows along (not in production) |
| ``restore`` | by the backup first, where nobody wrote since or the loss was accepted; else as ``careful`` |
| ``stop`` | never: a person decides |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["nothing", "retry", "down", "preimages", "restore", "stop"]
"""``nothing`` is needed, or is better than anything: what is done is marked, and the next run goes on there. ``retry``:
the same command again may do it. ``down``: the way back of the statements. ``preimages``: what was kept of the rows.
``restore``: the backup. ``stop``: nothing more is done."""
What = Literal["failed", "broke_data", "rollback_failed", "rollback_wrong"]
Committed = Literal["nothing", "steps", "whole"]

CHEAP = 1 << 30
"""Bytes of a backup up to which it is restored although the next run could go on without that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """One way back that there is."""

    words: str
    """What it is, for people."""
    loses: tuple[str, ...] = ()
    """What it would take along."""
    bytes: int = 0
    """What it has to read, where that is known."""
    whole: bool = True
    """It happens as a whole or not at all."""
    sure: bool = True
    """That it leads to what was before is proved, or can be seen afterwards. Of rows that were written, nothing but the
    author's word says that his down script takes them away again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What is known after a failure. Of one migration, the one that failed."""

    what: What
    committed: Committed
    unjudged: str = ""
    """Why this process must not touch the state, in words."""
    transient: bool = False
    """What made it fail may be over when it is tried again."""
    new: tuple[str, ...] = ()
    """Errors in the data that were not there before."""
    lost: tuple[str, ...] = ()
    """After a rollback that came to its end: what did not come back of the rows."""
    down: Back | None = None
    preimages: Back | None = None
    """There only where they hold everything that the migration changed."""
    backup: Back | None = None
    """The backup that was taken before; what it loses are the rows written since."""
    missing: tuple[str, ...] = ()
    """Why ways back are not there, in words."""
    accepted: bool = False
    """That a restore throws away rows written since was accepted."""
    production: bool = False
    tried: frozenset[Action] = field(default_factory=frozenset)
    """What was tried already, and failed without changing anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is done now, and why."""

    action: Action
    reasons: tuple[str, ...]
    policy: str = ""
    person: bool = False
    """Somebody has to decide: the run ends with exit code 5."""

    def as_dict(self) -> dict[str, Any]:
        """For reports."""
        return {
            "action": self.action,
            "policy": self.policy,
            "reasons": list(self.reasons),
            "needsPerson": self.person,
        }


Policy = Callable[[Signals], Decision]


def decide(policy: str, signals: Signals) -> Decision:
    """The decision of the policy of that name. Raises KeyError where there is none."""
    found = _settled(signals) or POLICIES[policy](signals)
    return Decision(
        action=found.action,
        policy=policy,
        person=found.person,
        reasons=(*_facts(signals), *found.reasons),
    )


def careful(signals: Signals) -> Decision:
    """Acts where nothing is lost. What may go on when it is tried again is left for that."""
    if signals.transient and signals.what != "broke_data":
        again = "rollback" if signals.what == "rollback_failed" else "up"
        return Decision(action="nothing", reasons=(f"it may go on when it is tried again: bascule {again}",))
    for action, back in _ways(signals, ("preimages", "down", "restore")):
        if back.loses:
            continue
        if signals.production and not _in_production(signals, action):
            continue
        if action == "down" and not (back.whole and back.sure):
            continue
        if action == "restore" and signals.what == "failed" and back.bytes > CHEAP:
            continue
        return Decision(action=action, reasons=(f"{back.words} loses nothing",))
    ways = dict(_ways(signals, ("restore",)))
    if signals.accepted and "restore" in ways:
        return Decision(action="restore", reasons=("what the restore throws away was accepted",))
    return _left_alone(signals)


def down(signals: Signals) -> Decision:
    """Runs the way back of the statements, even where that takes rows along."""
    for action, back in _ways(signals, ("preimages", "down", "restore")):
        if back.loses and (signals.production or action != "down"):
            continue
        return Decision(action=action, reasons=(f"the policy allows {back.words}",))
    return _left_alone(signals)


def restore(signals: Signals) -> Decision:
    """Prefers the backup."""
    back = signals.backup
    if back is None or not back.sure or "restore" in signals.tried:
        return careful(signals)
    if not back.loses:
        return Decision(action="restore", reasons=(f"{back.words} loses nothing",))
    if signals.accepted:
        return Decision(action="restore", reasons=("what the restore throws away was accepted",))
    return _stop("the policy wants the backup back, and that would throw away what was written since")


def stop(signals: Signals) -> Decision:
    """Leaves everything to a person. That a rollback is not exact is in its verdict already."""
    if signals.what == "rollback_wrong":
        return _left_alone(signals)
    return _stop("the policy leaves it to a person")


POLICIES: Mapping[str, Policy] = {"careful": careful, "down": down, "restore": restore, "stop": stop}
"""By the name that the setting ``run.on_failure`` has for them."""


def _settled(signals: Signals) -> Decision | None:
    """Where no policy has a say."""
    if signals.unjudged:
        return Decision(action="stop", reasons=(signals.unjudged,))
    if signals.committed == "nothing":
        if signals.transient:
            return Decision(action="retry", reasons=("what was in the way may be gone by now",))
        return Decision(action="nothing", reasons=("there is nothing to undo",))
    return None


def _ways(signals: Signals, order: tuple[Action, ...]) -> Iterator[tuple[Action, Back]]:
    there: Mapping[Action, Back | None] = {
        "preimages": signals.preimages,
        "down": signals.down,
        "restore": signals.backup,
    }
    for action in order:
        back = there[action]
        # A backup that holds part of what was touched would leave a mixture.
        if back is not None and action not in signals.tried and (back.sure or action != "restore"):
            yield action, back


def _in_production(signals: Signals, action: Action) -> bool:
    """Allowed there without anybody's saying so. A failed rollback was asked for, and so was its undoing."""
    return action == "preimages" or (action == "restore" and signals.what.startswith("rollback"))


def _left_alone(signals: Signals) -> Decision:
    """No way back may be taken. What is half done and marked can stay so; broken data cannot."""
    if signals.what == "broke_data":
        return _stop("no way back may be taken by itself")
    back = signals.backup
    if signals.what == "rollback_wrong":
        if signals.lost and back is not None and back.sure and back.loses:
            return _stop(
                "the backup has what did not come back, and restoring it would throw away what is newer, or may be"
            )
        return Decision(action="nothing", reasons=("the verdict tells what is not as it was",))
    if signals.what == "rollback_failed" and back is not None and back.sure and back.loses:
        return _stop("putting the backup back would throw away what was written since")
    again = "rollback" if signals.what == "rollback_failed" else "up"
    return Decision(action="nothing", reasons=(f"what is done is marked, and the next {again} goes on behind it",))


def _stop(why: str) -> Decision:
    return Decision(action="stop", reasons=(why,), person=True)


def _facts(signals: Signals) -> Iterator[str]:
    yield {
        "nothing": "nothing of it was committed",
        "steps": "some of its steps are committed, others are not",
        "whole": "it is committed" if signals.what == "broke_data" else "it is rolled back, and not exactly",
    }[signals.committed]
    if signals.lost:
        yield f"not back: {'; '.join(signals.lost)}"
    if signals.new:
        yield f"new errors in the data: {'; '.join(signals.new)}"
    if signals.committed == "nothing" or signals.unjudged:
        return
    for back in (signals.preimages, signals.down, signals.backup):
        if back is None:
            continue
        if back.loses:
            yield f"{back.words} would take along: {'; '.join(back.loses)}"
        if not back.sure:
            yield f"nothing proves that {back.words} takes back all that was written"
    yield from signals.missing
    if signals.tried:
        yield f"tried in vain: {', '.join(sorted(signals.tried))}"
    if signals.production:
        yield "the target is production"
