"""A target that is never given the values of secret variables to keep: neither in the ledger nor in the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from bascule.domain.history import Fact
from bascule.domain.statement import Touch
from bascule.ports.database import Job, Lease, LedgerChange, Meanwhile, Performed, Target, Watch


def concealed(value: Any, conceal: Callable[[str], str]) -> Any:
    """Texts in it, however deep, without secrets."""
    if isinstance(value, str):
        return conceal(value)
    if isinstance(value, Mapping):
        return {key: concealed(each, conceal) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(concealed(each, conceal) for each in value)
    return value


def concealing(target: Target, conceal: Callable[[str], str]) -> Target:
    """The same target. What it is told to run it is told as it is; what it is told to keep, without secrets."""
    return cast("Target", _Concealing(target, conceal))


class _Concealing:
    def __init__(self, target: Target, conceal: Callable[[str], str]) -> None:
        self._target = target
        self._conceal = conceal
        self._following: tuple[Job, Job] | None = None
        """The job that was made ready meanwhile, and what the target was given for it, which it knows it by."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def append(self, facts: Sequence[Fact], *, durable: bool = True) -> None:
        self._target.append(self._facts(facts), durable=durable)

    def perform(
        self, job: Job, *, lease: Lease, watch: Watch | None = None, meanwhile: Meanwhile | None = None
    ) -> Performed:
        following, self._following = self._following, None
        known = following[1] if following is not None and following[0] is job else self._job(job)

        if meanwhile is None:
            return self._target.perform(known, lease=lease, watch=watch)
        tell, think = meanwhile.tell, meanwhile.think

        def think_ahead() -> Job | None:
            job = think()
            self._following = None if job is None else (job, self._job(job))
            return self._following and self._following[1]

        return self._target.perform(known, lease=lease, watch=watch, meanwhile=Meanwhile(tell=tell, think=think_ahead))

    def perform_with(
        self, job: Job, work: Callable[[Any], None], *, lease: Lease, watch: Watch | None = None
    ) -> Performed:
        return self._target.perform_with(self._job(job), work, lease=lease, watch=watch)

    def offline(self, change: LedgerChange, before: Touch | None) -> tuple[str, str]:
        return self._target.offline(self._change(change), before)

    def _job(self, job: Job) -> Job:
        ledger = self._change(job.ledger) if job.ledger is not None else None
        return replace(job, ledger=ledger, facts=self._facts(job.facts))

    def _change(self, change: LedgerChange) -> LedgerChange:
        if change.entry is None or not change.entry.script:
            return change
        return replace(change, entry=replace(change.entry, script=self._conceal(change.entry.script)))

    def _facts(self, facts: Sequence[Fact]) -> tuple[Fact, ...]:
        return tuple(replace(fact, data=concealed(fact.data, self._conceal)) for fact in facts)
