"""A target that tells the log each statement it was given, and how long it took: for LOG_LEVEL=debug."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, cast

from bascule.domain.statement import Statement
from bascule.ports.database import Job, Lease, Meanwhile, Performed, Target, Watch, WorkFailed
from bascule.sql.passwords import without_passwords

LOGGER: Final = "bascule.sql"
LOG: Final = logging.getLogger(LOGGER)
_LONGEST: Final = 2000
"""Characters of a statement that are shown."""


def logging_statements(target: Target, conceal: Callable[[str], str]) -> Target:
    """The same target. `conceal` takes what may not be shown out of a text; passwords go in any case."""
    return cast("Target", _Logging(target, conceal))


class _Logging:
    def __init__(self, target: Target, conceal: Callable[[str], str]) -> None:
        self._target = target
        self._conceal = conceal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def perform(
        self, job: Job, *, lease: Lease, watch: Watch | None = None, meanwhile: Meanwhile | None = None
    ) -> Performed:
        told: dict[int, float] = {}
        begun = perf_counter()
        asked = dataclasses.replace(job, tell=told.__setitem__)
        try:
            done = self._target.perform(asked, lease=lease, watch=watch, meanwhile=meanwhile)
        except WorkFailed as failure:
            self._tell_each(job, told, failure, perf_counter() - begun)
            raise
        self._tell_each(job, told, None, perf_counter() - begun)
        return done

    def _tell_each(self, job: Job, told: Mapping[int, float], failure: WorkFailed | None, seconds: float) -> None:
        """Each statement with its own time. Of one that failed that is what is left of the whole."""
        wrong = failure.statement if failure is not None else None
        for number, statement in enumerate(job.statements):
            if number == wrong and failure is not None:
                left = seconds - sum(told.values())
                self._tell_one(job, number, statement, left, f"failed ({failure.kind})")
            elif number in told:
                undone = ", and undone" if failure is not None else ""
                self._tell_one(job, number, statement, told[number], f"done{undone}")
            elif failure is None:
                self._tell_one(job, number, statement, None, "done")
        if failure is not None and wrong is None:
            LOG.debug("%s: failed (%s), %.1f ms", job.migration, failure.kind, seconds * 1000)

    def _tell_one(self, job: Job, number: int, statement: Statement, seconds: float | None, outcome: str) -> None:
        many = f", {number + 1} of {len(job.statements)} in one transaction" if len(job.statements) > 1 else ""
        self._say(job.migration, job.run_id, number + 1, statement, seconds, outcome, many)

    def perform_with(
        self, job: Job, work: Callable[[Any], None], *, lease: Lease, watch: Watch | None = None
    ) -> Performed:
        done: Performed = self._timed(
            job.migration,
            job.run_id,
            job.statements,
            lambda: self._target.perform_with(job, work, lease=lease, watch=watch),
        )
        return done

    def perform_bare(
        self,
        statement: Statement,
        *,
        settings: tuple[str, ...] = (),
        lease: Lease,
        run_id: str,
        watch: Watch | None = None,
    ) -> Performed:
        done: Performed = self._timed(
            "",
            run_id,
            (statement,),
            lambda: self._target.perform_bare(statement, settings=settings, lease=lease, run_id=run_id, watch=watch),
        )
        return done

    def query(
        self, sql: str, *, seconds: float | None = None, settings: Sequence[str] = ()
    ) -> Sequence[tuple[Any, ...]]:
        looked: Sequence[tuple[Any, ...]] = self._timed(
            "", "", (sql,), lambda: self._target.query(sql, seconds=seconds, settings=settings)
        )
        return looked

    def _timed(self, migration: str, run_id: str, statements: Sequence[Statement | str], act: Callable[[], Any]) -> Any:
        begun = perf_counter()
        try:
            done = act()
        except WorkFailed as failure:
            self._tell(migration, run_id, statements, (perf_counter() - begun) * 1000, f"failed ({failure.kind})")
            raise
        self._tell(migration, run_id, statements, (perf_counter() - begun) * 1000, "done")
        return done

    def _tell(
        self, migration: str, run_id: str, statements: Sequence[Statement | str], ms: float, outcome: str
    ) -> None:
        for number, statement in enumerate(statements, 1):
            self._say(migration, run_id, number, statement, ms / 1000, outcome, "")

    def _say(
        self,
        migration: str,
        run_id: str,
        number: int,
        statement: Statement | str,
        seconds: float | None,
        outcome: str,
        many: str,
    ) -> None:
        text = statement if isinstance(statement, str) else statement.text
        shown = self._conceal(without_passwords(text))
        if len(shown) > _LONGEST:
            shown = f"{shown[:_LONGEST]}…"
        fields: dict[str, Any] = {"outcome": outcome, "statement": shown, "number": number}
        if seconds is not None:
            fields["ms"] = round(seconds * 1000, 2)
        if run_id:
            fields["run"] = run_id
        if migration:
            fields["migration"] = migration
        took = "" if seconds is None else f", {seconds * 1000:.1f} ms"
        LOG.debug("%s%s%s: %s", outcome, took, many, shown, extra={"fields": fields})
