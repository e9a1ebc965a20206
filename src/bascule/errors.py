"""Every error Bascule raises, with what a person on call needs: what happened, what is now true of the database, what
next.

::

    BasculeError
    ├── UsageError            2  the command line, a setting or a name is wrong
    │   ├── ConfigError       2  a setting has a wrong value, or two settings contradict each other
    │   ├── SourceError       2  the migrations folder or a file in it cannot be read as migrations
    │   └── TargetUnreachable 2  no connection: scheme, driver, address, password, not a database file
    ├── Refused               3  nothing was started because it would not have been safe
    ├── MigrationFailed       1  a statement failed, or a connection was lost during one
    ├── LockNotAvailable      4  the lease, or a lock on a table, was not to be had in time
    ├── NeedsPerson           5  neither the marks nor the catalog can decide; the question is in the message
    └── Interrupted         130  Ctrl-C or SIGTERM

The number is the process's exit code. `code` is stable and meant for machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

State = Literal["unchanged", "changed", "unknown"]


class BasculeError(Exception):
    """Base of all errors. `message` is one or more plain sentences; `hint` says what to do next."""

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "error"
    default_state: ClassVar[State] = "unchanged"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        state: State | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.state: State = state or self.default_state
        self.details: dict[str, Any] = dict(details or {})

    def as_dict(self) -> dict[str, Any]:
        """The ``error`` object of the JSON answers: code, hint, state and whatever else is known."""
        return {"code": self.code, "hint": self.hint, "state": self.state, **self.details}


class UsageError(BasculeError):
    """The call cannot be understood or names something that is not there. Nothing was looked at in the database."""

    exit_code = 2
    default_code = "usage"


class ConfigError(UsageError):
    """A setting is wrong; the message names it, where it came from, and the allowed values."""

    default_code = "config"


class SourceError(UsageError):
    """A migrations folder or file cannot be read; the message names the file and, where there is one, the line."""

    default_code = "source"


class TargetUnreachable(UsageError):
    """There is no connection to the target."""

    default_code = "unreachable"


class Refused(BasculeError):
    """Not started, because it would not be safe. Nothing changed."""

    exit_code = 3
    default_code = "refused"


class MigrationFailed(BasculeError):
    """A migration, a rollback or a backup failed. `state` says whether anything of it stayed in the database."""

    exit_code = 1
    default_code = "failed"


class LockNotAvailable(BasculeError):
    """Somebody else held the lease or a table lock for longer than allowed; the message names them."""

    exit_code = 4
    default_code = "lock_not_available"


class NeedsPerson(BasculeError):
    """The state cannot be decided from marks and catalog. The message asks the exact question."""

    exit_code = 5
    default_code = "needs_person"
    default_state = "unknown"


class Interrupted(BasculeError):
    """The run was told to stop. What was under way was undone or will be finished by the next run."""

    exit_code = 130
    default_code = "interrupted"
