"""Apply pending migrations. When there is nothing to do, this is all that is loaded and all that is asked of the
database.
"""

from __future__ import annotations

from bascule.services.context import Context
from bascule.services.report import Report
from bascule.services.requests import UpRequest
from bascule.services.situation import Situation, check_applied, look


def up(context: Context, request: UpRequest) -> Report:
    """Apply what is asked for, in order, each migration whole or not at all.

    Raises:
        Refused: the past was edited, the environment is another one, a dependency is missing, a loss was not accepted.
        MigrationFailed: one of them failed; those before it stay applied, and the details tell of all.
        LockNotAvailable: somebody else was at work for longer than `lock_wait`, or held a table's lock.
        NeedsPerson: something a crash left cannot be decided; the message asks the question.
        Interrupted: told to stop.
    """
    situation = look(context)
    check_applied(context, situation)
    asked = bool(request.names or request.to)
    if not (asked or situation.marks or situation.pending() or any(ref.repeatable for ref in situation.refs)):
        return nothing_to_do(situation)
    from bascule.services.batch import apply

    return apply(context, request, situation)


def nothing_to_do(situation: Situation) -> Report:
    """The answer when the target has everything the folder has."""
    count = len(situation.applied)
    return Report(success=True, message=f"Nothing to do: {_all(count)} applied." if count else "Nothing to do.")


def _all(count: int) -> str:
    return "the one migration is" if count == 1 else f"all {count} migrations are"
