"""The author's file: executing it, calling its functions, and saying where in it something went wrong."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from bascule.domain.migration import Direction, Script
from bascule.errors import BasculeError, MigrationFailed, SourceError, State
from bascule.ports.database import WorkFailed

_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorFunction:
    """An ``up`` or ``down`` as the author wrote it."""

    path: str
    name: str
    body: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """An author's file that has been executed."""

    path: str
    module: ModuleType

    def function(self, direction: Direction) -> AuthorFunction:
        """The function of that name. Raises SourceError where there is none that can be called with ``op`` alone."""
        body = getattr(self.module, direction, None)
        if body is None:
            raise SourceError(f"{self.path} has no function {direction}(op).", hint=f"Write: def {direction}(op): …")
        if not callable(body) or inspect.iscoroutinefunction(body) or inspect.isgeneratorfunction(body):
            raise SourceError(
                f"{self.path}: {direction} is not a plain function: an async function or a generator would do nothing.",
                hint=f"Write: def {direction}(op): …",
            )
        return AuthorFunction(path=self.path, name=direction, body=body)


def load(script: Script) -> Loaded:
    """Execute the author's file: exactly `script.text`, the text that was read and hashed.

    Raises SourceError, with the line and the author's own exception as its cause, when the file does not get to its
    end.
    """
    module = ModuleType(f"bascule_migration_{next(_numbers)}")
    module.__file__ = script.path
    # While the file runs and its functions are used, dataclasses and typing look their module up here.
    sys.modules[module.__name__] = module
    try:
        code = compile("\n" * (script.line - 1) + script.text, script.path, "exec", dont_inherit=True)
        with _loggers_kept():
            exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise _not_loaded(script.path, error) from error
    return Loaded(path=script.path, module=module)


def call(function: AuthorFunction, op: object, *, state: Callable[[], State]) -> None:
    """Call the author's function with `op`; `state` is asked what is true of the database when it raises.

    The driver's errors come out as the driver raised them, without SQLAlchemy's wrapping, with a note that says where.
    """
    from sqlalchemy.exc import DBAPIError

    try:
        with _loggers_kept():
            function.body(op)
    except (BasculeError, WorkFailed):
        raise
    except DBAPIError as error:
        if error.orig is None:
            raise _failed(function, error, state()) from error
        raise _driver_error(function, error.orig, error.statement).with_traceback(error.__traceback__) from None
    except (Exception, SystemExit) as error:
        if _is_drivers(error):
            raise
        raise _failed(function, error, state()) from error


@contextmanager
def drivers_errors() -> Iterator[None]:
    """Around work of ours with SQLAlchemy: the driver's errors come out as the driver raised them."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        if error.orig is None:
            raise
        raise error.orig from None


def author_line(error: BaseException, path: str) -> int | None:
    """The innermost line of the file at `path` that the error came through; None when it never was in that file."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def current_line(path: str) -> int:
    """The line of the file at `path` that is being executed right now; 1 when none is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        frame = frame.f_back
    return 1


def _not_loaded(path: str, error: BaseException) -> SourceError:
    line = author_line(error, path)
    if isinstance(error, SyntaxError) and error.filename == path:
        line = error.lineno
    hint = "Correct the file; nothing was sent to the database."
    if isinstance(error, ModuleNotFoundError):
        hint = f"Install {error.name} beside Bascule, or do without it: {hint[0].lower()}{hint[1:]}"
    what = f"the file cannot be executed: {_words_of(error)}."
    return SourceError(f"{_place(path, line)}: {what}", hint=hint, details={"line": line, "what": what})


def _failed(function: AuthorFunction, error: BaseException, state: State) -> MigrationFailed:
    line = author_line(error, function.path)
    what = f"{function.name}(op) raised {_words_of(error)}."
    return MigrationFailed(
        f"{_place(function.path, line)}: {what}",
        code="function_raised",
        state=state,
        hint=_advice(error),
        details={"line": line, "what": what},
    )


def _is_drivers(error: BaseException) -> bool:
    """Whether a driver raised it, with no SQLAlchemy between."""
    drivers = (sys.modules.get("sqlite3"), sys.modules.get("psycopg"))
    return any(driver is not None and isinstance(error, driver.Error) for driver in drivers)


def _driver_error(function: AuthorFunction, error: BaseException, statement: str | None) -> BaseException:
    text = f": {' '.join(statement.split())[:300]}" if statement else ""
    error.add_note(f"in {function.name}(op) of {Path(function.path).name}{text}")
    return error


def _advice(error: BaseException) -> str:
    if isinstance(error, NotImplementedError) and "SQLite" in str(error):
        return (
            "SQLite cannot alter this in place: use `with op.batch_alter_table(…) as batch:`, which copies the table."
        )
    return "Correct the function and run it again."


def _place(path: str, line: int | None) -> str:
    return path if line is None else f"{path}, line {line}"


def _words_of(error: BaseException) -> str:
    text = str(error).strip().rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _loggers_kept() -> Iterator[None]:
    """Keep logging as it is: ``logging.config.fileConfig`` disables loggers and takes the root's handlers away."""
    root = logging.getLogger()
    known = [logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    disabled = [(logger, logger.disabled) for logger in known]
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        for logger, before in disabled:
            logger.disabled = before
        root.handlers[:] = handlers
        root.setLevel(level)
