"""On production a script that was begun is finished as it was when it began, or for a reason."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.engine.decide import BEGUN
from bascule.errors import Refused
from bascule.services.context import Context
from bascule.services.environment import note_reason, protected
from bascule.services.planned import plan_one


def require_as_begun(context: Context, *, reason: str | None, let_in: bool) -> None:
    """What was looked at, and approved, is what had been read. `let_in`: a server's door has looked at who asks.

    Raises:
        Refused: a half-done script says something else now, and there is no reason: ``plan_unapproved`` where plans
            need approvals, else ``protected``.
    """
    approvals = context.policy.approvals
    if not protected(context) or (let_in and not approvals):
        return
    names = list(_edited(context))
    if not names:
        return
    if reason and reason.strip():
        note_reason(context, "go on with the edited file of", names, reason)
        return
    raise Refused(
        f"The file of {', '.join(names)} has been edited since the run began that is half done"
        + (", and nobody has approved that." if approvals else "."),
        code="plan_unapproved" if approvals else "protected",
        hint="Put the file back as it was; or go on from the command line, with a reason that is kept: "
        "bascule recover --yes-production REASON.",
        details={"migrations": names},
    )


def _edited(context: Context) -> Iterator[str]:
    refs = {ref.name: ref for ref in context.source.listing()}
    for (name, direction), marks in context.target.marks().items():
        begun = marks.get(BEGUN)
        if begun is None or name not in refs:
            continue
        planned = plan_one(context, context.source.read(refs[name]), direction)  # type: ignore[arg-type]
        if planned.semantic_hash != begun[0]:
            yield name
