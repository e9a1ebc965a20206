"""Python migrations: the author's ``up(op)`` and ``down(op)``, run on a connection that stays Bascule's.

`load` executes the author's file. `run_in_transaction` calls a function inside a transaction that its caller opened and
will end; `run_stepwise` calls it where there is none: each statement it makes is handed over as a step, to be performed
and marked by the caller. `record` asks in a child process, without a database, which statements a function would make.

SQLAlchemy and Alembic (the extra ``alembic``) are imported by the first call that needs them, never by importing
this. Errors: what the author wrote wrong is `SourceError` (the file cannot be loaded) or `MigrationFailed` (the
function raised), with file and line; the driver's own errors come out as the driver raised them, `author_line` tells
where; what a callback raises passes through unchanged, also when the author's code tries to swallow it.
"""

from __future__ import annotations

from bascule.databases.operations.author import AuthorFunction, Loaded, author_line, load
from bascule.databases.operations.batches import DONE, BatchedSteps
from bascule.databases.operations.control import only_reads
from bascule.databases.operations.literals import literal
from bascule.databases.operations.recorded import Recorded, statements_of
from bascule.databases.operations.recording import record
from bascule.databases.operations.stepwise import run_stepwise
from bascule.databases.operations.transaction import run_in_transaction

__all__ = [
    "DONE",
    "AuthorFunction",
    "BatchedSteps",
    "Loaded",
    "Recorded",
    "author_line",
    "literal",
    "load",
    "only_reads",
    "record",
    "run_in_transaction",
    "run_stepwise",
    "statements_of",
]
