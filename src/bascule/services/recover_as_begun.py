"""Where others approve what runs, a script that was begun is finished as it was when it began."""

from __future__ import annotations

from bascule.engine.decide import BEGUN
from bascule.errors import Refused
from bascule.services.context import Context
from bascule.services.environment import protected
from bascule.services.planned import plan_one


def require_as_begun(context: Context) -> None:
    """What was approved is what had been read. Raises `Refused` (code ``plan_unapproved``) where a half-done script
    says something else now.
    """
    if not (context.policy.approvals and protected(context)):
        return
    refs = {ref.name: ref for ref in context.source.listing()}
    for (name, direction), marks in context.target.marks().items():
        begun = marks.get(BEGUN)
        if begun is None or name not in refs:
            continue
        planned = plan_one(context, context.source.read(refs[name]), direction)  # type: ignore[arg-type]
        if planned.semantic_hash != begun[0]:
            raise Refused(
                f"The file of {name} has been edited since the run began that is half done, and nobody has approved "
                "that.",
                code="plan_unapproved",
                hint="Put the file back as it was; or let bascule recover finish it, with a reason that is kept.",
                details={"migration": name},
            )
