"""What the engine can ask for next. The loop performs it and comes back with one more fact."""

from __future__ import annotations

from dataclasses import dataclass

from bascule.domain.plan import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Nothing is left to do: ledger and marks say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWhole:
    """The whole script and its ledger row in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Write down, in the target, that a script without surrounding transaction is under way, and keep the look of
    before.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMarked:
    """A step in a transaction of its own, with its mark; the last one takes the ledger row along."""

    step: Step
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Ask the catalog about a bare step's effect."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Announce a bare step in the journal, durably, then send it."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Remove what a broken attempt left, so that the step can run (again)."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkDone:
    """Write the mark of a bare step whose effect is there; the last one takes the ledger row along."""

    step: Step
    last: bool
    recognised: bool
    """The effect was found, not made by this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForBuilder:
    """Another session is at work on the same object; wait until it has ended, then look again."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The server refused a bare step, and what it left behind has been cleared away."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Only a person can decide."""

    step: Step
    code: str
    question: str


Command = Finished | RunWhole | Begin | RunMarked | Look | Send | Repair | MarkDone | WaitForBuilder | Fail | Ask
