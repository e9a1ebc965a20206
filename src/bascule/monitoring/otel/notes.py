"""What the thread of a run writes down: the moment, and the thing itself. Nothing is looked at, which costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bascule.domain.event import Event
from bascule.ports.database import Job, Performed, TargetInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBegun:
    """A call that may change something."""

    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """It is over. `error`: its code."""

    error: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorsJob:
    """A job in which an author's Python is at work."""

    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed:
    """The job that was begun last did not end well. No words: they may quote rows."""

    error: str
    kind: str = ""
    sqlstate: str = ""
    statement: int | None = None
    """Its place in the job."""


Noted: TypeAlias = CallBegun | CallEnded | TargetInfo | Event | Job | AuthorsJob | Performed | JobFailed
Note: TypeAlias = tuple[int, Noted]
"""A bare tuple with the moment, in nanoseconds since 1970: a run makes four for each migration."""
