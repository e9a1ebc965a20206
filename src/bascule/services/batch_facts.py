"""Facts about several runs that begin one after the other: by them it is known which one a killed process was at."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from bascule.domain.history import Fact
from bascule.domain.migration import Direction
from bascule.errors import BasculeError
from bascule.ports.database import WorkFailed
from bascule.services.context import Context


def batch_started(
    context: Context, ids: Sequence[str], direction: Direction = "up", *, estimates: Sequence[int] = ()
) -> None:
    """These runs begin, in this order; `estimates`: milliseconds of each. Raises as the journal does."""
    if ids:
        data = {"runs": list(ids), "owner": context.owner} | ({"estimates": list(estimates)} if estimates else {})
        fact = Fact(kind="batch_started", run_id=ids[0], migration="", direction=direction, data=data)
        context.target.append((fact,), durable=False)


def batch_ended(context: Context, ids: Sequence[str], direction: Direction = "up") -> None:
    """They ended early, which is told elsewhere, and the process lives. Where that cannot be written it is as if the
    process had died.
    """
    fact = Fact(kind="batch_ended", run_id=ids[0], migration="", direction=direction, data={"owner": context.owner})
    with contextlib.suppress(BasculeError, WorkFailed):
        context.target.append((fact,), durable=False)
