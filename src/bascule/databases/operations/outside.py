"""What the caller's callbacks raise is not the author's to catch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class Outside:
    """Calls the caller's callbacks. After one has raised, every further call raises the same error.

    An author's ``except Exception: pass`` around a statement must not let the function go on when the lease was lost.
    """

    def __init__(self) -> None:
        self._raised: BaseException | None = None

    def call(self, callback: Callable[_Given, _Answer], *arguments: _Given.args, **named: _Given.kwargs) -> _Answer:
        """The callback's answer."""
        if self._raised is not None:
            raise self._raised
        try:
            return callback(*arguments, **named)
        except BaseException as error:
            self._raised = error
            raise

    @contextmanager
    def comes_first(self) -> Iterator[None]:
        """Around the author's function: the error of a callback wins over whatever the function made of it."""
        try:
            yield
        except BaseException:
            if self._raised is not None:
                raise self._raised from None
            raise
        if self._raised is not None:
            raise self._raised
