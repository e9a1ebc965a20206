"""What is known about one run, folded from ledger, marks, journal and what was seen since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bascule.domain.history import Fact

Seen = Literal["absent", "complete", "broken", "building", "undecidable"]
Outcome = Literal["sent", "ended", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """What is known about one bare step."""

    before: Seen | None = None
    """What the catalog said of its effect before it was first sent; None: nobody looked."""
    outcome: Outcome | None = None
    """``sent``: it was announced, and its end was never recorded. ``ended``: the server said it is done.
    ``refused``: the server said no."""
    seen: Seen | None = None
    """What the catalog says now; None: has to be looked at (again)."""
    recalled: bool = False
    """That it ended is known from the journal alone, which may be kept elsewhere than what it tells of: of the two, a
    restored backup brings only one back."""
    digest: str | None = None
    """Of the statement that an earlier process sent; None where this one knows what it sent."""
    repairs: int = 0
    answer: Literal["done", "again", None] = None
    """A person's answer to the question only a person can answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about one run of one migration in one direction."""

    applied: bool
    """The ledger has it."""
    marks: Mapping[int, str] = field(default_factory=dict)
    """Step → digest of what was done."""
    steps: Mapping[int, StepFacts] = field(default_factory=dict)
    resumed: bool = False
    """An earlier process began this run."""

    def of(self, step: int) -> StepFacts:
        """What is known about a step; empty when nothing is."""
        return self.steps.get(step, StepFacts())

    def with_step(self, step: int, **changes: object) -> Facts:
        """These facts and one more about a step."""
        return replace(self, steps={**self.steps, step: replace(self.of(step), **changes)})  # type: ignore[arg-type]

    def with_mark(self, step: int, digest: str) -> Facts:
        """These facts and a mark."""
        return replace(self, marks={**self.marks, step: digest})


def recall(*, applied: bool, marks: Mapping[int, str], journal: Iterable[Fact]) -> Facts:
    """Facts of a run that an earlier process began, from what it left behind. `journal` holds that run's facts,
    oldest first.
    """
    steps: dict[int, StepFacts] = {}
    for fact in journal:
        if fact.step is None:
            continue
        known = steps.get(fact.step, StepFacts())
        if fact.kind == "step_started":
            # An answer counts for the attempt it was given for, not for the next one.
            known = replace(
                known,
                before=known.before or fact.data.get("before"),
                outcome="sent",
                recalled=False,
                digest=fact.data.get("digest"),
                answer=None,
            )
        elif fact.kind == "step_failed":
            # Refused in an earlier run: this run tries again. What it may have left behind is seen by looking.
            known = StepFacts()
        elif fact.kind == "step_done":
            known = replace(known, outcome="ended", recalled=True)
        elif fact.kind == "answered":
            known = replace(known, answer=fact.data.get("answer"))
        steps[fact.step] = known
    return Facts(applied=applied, marks=dict(marks), steps=steps, resumed=bool(marks or steps))
