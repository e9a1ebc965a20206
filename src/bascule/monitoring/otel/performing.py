"""A target whose jobs a recorder writes down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from bascule.domain.statement import Statement
from bascule.monitoring.otel.recorder import Recorder
from bascule.ports.database import Job, Lease, Meanwhile, Performed, Target, Watch


def recording(target: Target, recorder: Recorder) -> Target:
    """The same target. Nothing else is sent to it than before."""
    return cast("Target", _Recording(target, recorder))


class _Recording:
    def __init__(self, target: Target, recorder: Recorder) -> None:
        self._target = target
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def perform(
        self, job: Job, *, lease: Lease, watch: Watch | None = None, meanwhile: Meanwhile | None = None
    ) -> Performed:
        return self._recorder.job(job, lambda: self._target.perform(job, lease=lease, watch=watch, meanwhile=meanwhile))

    def perform_with(
        self, job: Job, work: Callable[[Any], None], *, lease: Lease, watch: Watch | None = None
    ) -> Performed:
        return self._recorder.job(
            job, lambda: self._target.perform_with(job, work, lease=lease, watch=watch), author=True
        )

    def perform_bare(
        self,
        statement: Statement,
        *,
        settings: tuple[str, ...] = (),
        lease: Lease,
        run_id: str,
        watch: Watch | None = None,
    ) -> Performed:
        return self._recorder.job(
            Job(run_id=run_id, migration="", direction="", statements=(statement,)),
            lambda: self._target.perform_bare(statement, settings=settings, lease=lease, run_id=run_id, watch=watch),
        )
