"""Finish what a crash or a failure left half done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bascule.domain.plan import PlannedMigration
from bascule.domain.run import Run
from bascule.errors import BasculeError, NeedsPerson
from bascule.ports.database import Lease
from bascule.services.apply_one import apply_one
from bascule.services.carry_out import CarryOut
from bascule.services.context import Context
from bascule.services.owed_look import finish_look
from bascule.services.planned import plan_one
from bascule.services.recover_as_begun import require_as_begun
from bascule.services.so_far import owning_up_to
from bascule.services.undo import undo_one

if TYPE_CHECKING:
    from bascule.services.recovery import Recovery


def finish(
    context: Context,
    lease: Lease,
    *,
    leave: frozenset[str] = frozenset(),
    recovery: Recovery | None = None,
    reason: str | None = None,
    let_in: bool = False,
) -> list[Run]:
    """Carry every half-done script to its end, downs before ups. Scripts named in `leave` stay as they are. `recovery`
    acts where an up fails again. A rollback that is done, and that nobody has looked at yet, is looked at.

    Raises as `require_as_begun` (`reason`, `let_in`) and `CarryOut.perform`; `NeedsPerson` where the file of a
    half-done script is gone.
    """
    runs: list[Run] = []
    require_as_begun(context, reason=reason, let_in=let_in)
    with owning_up_to(runs):
        for name, direction in sorted(context.target.marks(), key=lambda key: (key[1] != "down", key[0])):
            if name in leave:
                continue
            marks = context.target.marks().get((name, direction))
            if not marks:
                continue
            planned = _plan(context, name, direction)
            run_id = next(iter(marks.values()))[1]
            context.say(f"Finishing {name} ({direction}), which an earlier run left half done.")
            if direction == "down":
                runs.append(undo_one(context, lease, planned, run_id, resuming=True))
            else:
                work = CarryOut(context=context, lease=lease, planned=planned, run_id=run_id, resuming=True)
                try:
                    runs.append(apply_one(work))
                except BasculeError as error:
                    told = recovery.failed(work, error) if recovery is not None else error
                    if told is error:
                        raise
                    raise told from error
        if not runs and (looked := finish_look(context, lease)) is not None:
            runs.append(looked)
    return runs


def _plan(context: Context, name: str, direction: str) -> PlannedMigration:
    for ref in context.source.listing():
        if ref.name == name:
            return plan_one(context, context.source.read(ref), direction)  # type: ignore[arg-type]
    raise NeedsPerson(
        f"{name} is half done ({direction}), and its file is no longer in {context.source.folder}.",
        code="half_done_file_gone",
        hint="Bring the file back and run again; or finish by hand and record it with "
        f"bascule mark {name} --applied or --pending.",
        state="changed",
    )
