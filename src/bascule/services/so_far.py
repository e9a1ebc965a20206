"""Errors that come after part of the work is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bascule.domain.run import Run
from bascule.errors import BasculeError
from bascule.services.failures import owning_up


@contextmanager
def owning_up_to(runs: Sequence[Run]) -> Iterator[None]:
    """What is raised in the block, made true of the whole command: `runs` are those that had ended well by then.

    Read when the error comes, so a list that grows inside the block is told of as it is then.
    """
    try:
        yield
    except BasculeError as error:
        if not runs:
            raise
        error.details.setdefault("data", [run.as_dict() for run in runs])
        if error.state != "unchanged":
            raise
        names = ", ".join(run.name for run in runs[:5]) + (f" and {len(runs) - 5} more" if len(runs) > 5 else "")
        told = owning_up(error, "changed", f"Done before it, and stays so: {names}.")
        if told is error:
            raise
        raise told from error
