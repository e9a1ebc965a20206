"""From what was written down to spans that begin and end: which is part of which, and what is told of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Final

from bascule.domain.event import Event
from bascule.domain.statement import Dialect
from bascule.monitoring.otel.notes import AuthorsJob, CallBegun, CallEnded, JobFailed, Noted
from bascule.monitoring.otel.records import Attributes, Begun, Ended, Happened, Queries, Record, Value
from bascule.ports.database import Job, Performed, TargetInfo

_BEGINS: Final = {"migration.started": "up", "migration.rollback_started": "down"}
_ENDS: Final = frozenset(
    {"migration.completed", "migration.failed", "migration.rollback_completed", "migration.rollback_failed"}
)
_TOOK_TIME: Final = {
    "migration.backup_created": "backup",
    "migration.backup_verified": "backup verification",
    "migration.validation_failed": "validation",
}
"""Events that tell of something when it is over, and how long it took."""
_TOLD: Final = {
    "id": "bascule.backup.id",
    "scope": "bascule.backup.scope",
    "size": "bascule.backup.size",
    "mode": "bascule.backup.verification",
    "good": "bascule.backup.good",
    "verdict": "bascule.verdict",
    "state": "bascule.state",
    "action": "bascule.recovery.action",
    "policy": "bascule.recovery.policy",
    "needsPerson": "bascule.recovery.needs_person",
    "rows": "bascule.rows",
    "steps": "bascule.steps",
    "statements": "bascule.statements",
    "transactional": "bascule.transactional",
}
"""Of the data of events what has no words in it: those may quote rows, and names of files and people."""


class Story:
    """One call. Take what was written down in its order."""

    def __init__(self, *, about: Mapping[str, str], dialect: Dialect) -> None:
        """`about`: attributes of the run that are known beforehand."""
        self._about = about
        self._place: dict[str, Value] = {"db.system.name": dialect}
        self._place |= {name: it for name, it in about.items() if name.startswith("server.")}
        self._dialect = dialect
        self._keys = itertools.count(1)
        self._action = "run"
        self._begun = 0
        self._root: int | None = None
        self.is_over = False
        """The call has ended."""
        self._migrations: dict[str, tuple[int, str]] = {}
        """By run id the span of the migration that is under way, and its name."""
        self._job: tuple[int, Job] | None = None
        """The one that is under way, and its span."""
        self._author = False
        """It is one in which an author's Python is at work."""
        self._statement: int | None = None
        """The author's statement that is under way."""

    def take(self, at: int, noted: Noted) -> Iterator[Record]:
        """What that makes begin and end."""
        if self.is_over:
            return
        match noted:
            case CallBegun():
                self._action, self._begun = noted.action, at
            case TargetInfo():
                self._place["db.namespace"] = noted.database
            case Event():
                yield from self._run(at)
                yield from self._event(at, noted)
            case Job() | AuthorsJob():
                yield from self._run(at)
                yield from self._job_begins(at, noted)
            case Performed():
                yield from self._job_ends(at, _about_rows(noted), "")
            case JobFailed():
                yield from self._job_ends(at, self._about_failure(noted), noted.error)
            case CallEnded():
                yield from self._call_ends(at, noted)

    # The run

    def _run(self, at: int) -> Iterator[Record]:
        """The span of the run, as old as the call. A call that does nothing has none."""
        if self._root is None:
            self._root = next(self._keys)
            about = {"bascule.command": self._action, **self._about, **self._place}
            yield Begun(self._root, None, f"bascule {self._action}", self._begun or at, about)

    def _call_ends(self, at: int, ended: CallEnded) -> Iterator[Record]:
        self.is_over = True
        if self._root is None and not ended.error:
            return
        yield from self._run(at)
        assert self._root is not None, "it has just been begun"
        for key, _ in self._migrations.values():
            # Nobody told how it ended.
            yield Ended(key, at, {}, ended.error or "unknown")
        # Which database it is was known only when the first job came.
        about = {**self._place, "bascule.state": ended.state} if ended.state else self._place
        yield Ended(self._root, at, about, ended.error)

    def _parent(self, run_id: str, migration: str) -> int | None:
        found = self._open(run_id, migration)
        return self._root if found is None else self._migrations[found][0]

    def _open(self, run_id: str, migration: str) -> str | None:
        """Under which id it was begun. What goes on with an earlier run takes that one's id after it has begun."""
        if run_id in self._migrations:
            return run_id
        return next((each for each, (_, name) in self._migrations.items() if not migration or name == migration), None)

    # Events

    def _event(self, at: int, event: Event) -> Iterator[Record]:
        if event.name == "migration.progress":
            yield from self._statement_begins(at, event)
        elif (direction := _BEGINS.get(event.name)) is not None:
            yield self._migration_begins(at, event, direction)
        elif event.name in _ENDS and (begun := self._open(event.run_id, event.migration)) is not None:
            failed = event.name.endswith("failed")
            error = str(event.data.get("code") or "failed") if failed else ""
            yield Ended(self._migrations.pop(begun)[0], at, _told(event), error)
        elif (name := _TOOK_TIME.get(event.name)) is not None:
            yield from self._took_time(at, event, name)
        elif (key := self._parent(event.run_id, event.migration)) is not None:
            yield Happened(key, event.name, at, _told(event))

    def _migration_begins(self, at: int, event: Event, direction: str) -> Record:
        key = next(self._keys)
        self._migrations[event.run_id] = key, event.migration
        about: dict[str, Value] = {
            "bascule.migration": event.migration,
            "bascule.run.id": event.run_id,
            "bascule.direction": direction,
            **_told(event),
        }
        # Longer than names of spans should be: a migration is a kind of work of its own, done once in each database,
        # and its name is what people look for.
        return Begun(key, self._root, f"{direction} {event.migration}", at, about)

    def _took_time(self, at: int, event: Event, name: str) -> Iterator[Record]:
        key = next(self._keys)
        took = event.data.get("executionTime")
        begun = at - round(took * 1e6) if isinstance(took, int | float) else at
        about: dict[str, Value] = {"bascule.migration": event.migration} if event.migration else {}
        yield Begun(key, self._parent(event.run_id, event.migration), name, begun, {**about, **_told(event)})
        error = "validation_failed" if name == "validation" else ""
        yield Ended(key, at, {}, "backup_unverified" if event.data.get("good") is False else error)

    # Jobs and statements

    def _job_begins(self, at: int, noted: Job | AuthorsJob) -> Iterator[Record]:
        self._author = isinstance(noted, AuthorsJob)
        job, key = noted.job if isinstance(noted, AuthorsJob) else noted, next(self._keys)
        self._job = key, job
        about = dict(self._place)
        if job.migration:
            about |= {"bascule.migration": job.migration, "bascule.direction": job.direction}
        queries = Queries(tuple(each.text for each in job.statements), self._dialect)
        yield Begun(key, self._parent(job.run_id, job.migration), "Python" if self._author else "", at, about, queries)

    def _job_ends(self, at: int, about: Attributes, error: str) -> Iterator[Record]:
        if self._job is None:
            return
        yield from self._statement_ends(at, error)
        yield Ended(self._job[0], at, about, error)
        self._job, self._author = None, False

    def _about_failure(self, failed: JobFailed) -> Attributes:
        about: dict[str, Value] = {"bascule.failure": failed.kind} if failed.kind else {}
        if failed.sqlstate:
            about["db.response.status_code"] = failed.sqlstate
        statements = self._job[1].statements if self._job is not None else ()
        if failed.statement is not None and failed.statement < len(statements):
            about["bascule.statement.number"] = failed.statement + 1
            about["bascule.statement.line"] = statements[failed.statement].line
        return about

    def _statement_begins(self, at: int, event: Event) -> Iterator[Record]:
        """An author's statement begins, and with that the one before it is over."""
        text = event.data.get("statement")
        if self._job is None or not self._author or not text:
            return
        yield from self._statement_ends(at, "")
        key = self._statement = next(self._keys)
        yield Begun(key, self._job[0], "", at, dict(self._place), Queries((str(text),), self._dialect))

    def _statement_ends(self, at: int, error: str) -> Iterator[Record]:
        if self._statement is not None:
            yield Ended(self._statement, at, {}, error)
            self._statement = None


def _told(event: Event) -> dict[str, Value]:
    told: dict[str, Value] = {}
    for name, attribute in _TOLD.items():
        value = event.data.get(name)
        if isinstance(value, str | int | float):
            told[attribute] = value
    rules = event.data.get("rules")
    if isinstance(rules, list | tuple):
        told["bascule.rules"] = ", ".join(map(str, rules))
    return told


def _about_rows(done: Performed) -> dict[str, Value]:
    known = [rows for rows in done.rows if rows >= 0]
    return {"bascule.rows": sum(known)} if known else {}
