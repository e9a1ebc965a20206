"""An author's function without a surrounding transaction: every statement it makes is a step."""

from __future__ import annotations

import time
from collections.abc import Callable

from bascule.databases.operations.author import AuthorFunction
from bascule.databases.operations.batches import BatchedSteps
from bascule.databases.operations.step_carrier import Connect, Execute, StepCarrier, run
from bascule.domain.statement import Dialect


def run_stepwise(
    function: AuthorFunction,
    *,
    dialect: Dialect,
    server_version: int,
    execute: Execute,
    connect: Connect,
    batches: BatchedSteps | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Call the author's function with an ``op`` that hands each statement to `execute` before the next is made.

    A statement's text is complete, its values written as literals; `Statement.index` is its place among the steps,
    the same on every run of the same function, `line` its line in the author's file. `execute` performs it as a step
    of its own and answers the number of rows it changed, or None where that is not known. On a resumed run the
    function runs again from its beginning: `execute` passes over a step that was done with this text, and raises for
    one that was done with another.

    What the author reads goes to the connection that `connect` opens when it is first needed (the driver's own, in
    autocommit mode, better still one that may only read); it is closed at the end. ``op.backfill`` works through
    `batches`; without them it is one statement like any other. `server_version` as in `TargetInfo`.

    Raises MigrationFailed for what the author's function raised, the driver's own errors for what failed while
    reading, and whatever a callback raised, even when the author's code caught it.
    """
    carrier = StepCarrier(
        function,
        dialect=dialect,
        server_version=server_version,
        execute=execute,
        connect=connect,
        batches=batches,
        clock=clock,
    )
    run(function, carrier)
