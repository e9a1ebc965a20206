"""A target that tells the log each statement it was given, and how long it took: for LOG_LEVEL=debug."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final, cast

from bascule.domain.statement import Statement
from bascule.ports.database import Job, Lease, Meanwhile, Performed, Target, Watch, WorkFailed
from bascule.sql.passwords import without_passwords

LOGGER: Final = "bascule.sql"
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
        done: Performed = self._timed(
            job.migration,
            job.run_id,
            job.statements,
            lambda: self._target.perform(job, lease=lease, watch=watch, meanwhile=meanwhile),
        )
        return done

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
        import logging

        logger = logging.getLogger(LOGGER)
        many = f" in one transaction of {len(statements)} statements" if len(statements) > 1 else ""
        for number, statement in enumerate(statements, 1):
            text = statement if isinstance(statement, str) else statement.text
            shown = self._conceal(without_passwords(text))
            if len(shown) > _LONGEST:
                shown = f"{shown[:_LONGEST]}…"
            fields = {"ms": round(ms, 2), "outcome": outcome, "statement": shown, "number": number}
            if run_id:
                fields["run"] = run_id
            if migration:
                fields["migration"] = migration
            logger.debug("%s, %.1f ms%s: %s", outcome, ms, many, shown, extra={"fields": fields})
