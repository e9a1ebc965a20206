"""The target remembers which environment it is; a run that thinks otherwise is refused."""

from __future__ import annotations

from collections.abc import Sequence

from bascule.domain.history import Fact
from bascule.domain.plan import PlannedMigration
from bascule.errors import Refused
from bascule.services.context import Context


def guard_environment(context: Context) -> None:
    """Compare the setting with the target's own mark before anything changes.

    Raises:
        Refused: code ``environment_mismatch`` when both are known and differ, or when the target says production and no
            environment was set.
    """
    remembered = context.target.describe().environment
    if remembered is None:
        return
    policy = context.policy
    if policy.environment_named and policy.environment != remembered:
        raise Refused(
            f"The target says it is {remembered}, the settings say {policy.environment}.",
            code="environment_mismatch",
            hint=f"Check the address. If it is right, set MIGRATION_ENVIRONMENT={remembered}, "
            f"or correct the target's mark with: bascule init --environment {policy.environment}",
        )
    if not policy.environment_named and remembered == "production":
        raise Refused(
            "The target says it is production, and no environment is set here.",
            code="environment_mismatch",
            hint="If production is meant, set MIGRATION_ENVIRONMENT=production.",
        )


def guard_production(context: Context, *, planned: bool, reason: str | None) -> None:
    """A protected target takes a plan that was looked at beforehand, or a reason, which the audit log keeps.

    Raises:
        Refused: code ``protected`` when there is neither.
    """
    if protected(context) and not planned and not (reason and reason.strip()):
        raise Refused(
            "The target is production: it takes a plan that somebody has looked at, or a reason.",
            code="protected",
            hint="bascule plan --out FILE, then bascule up --plan FILE; or bascule up --yes-production REASON, which "
            "is kept in the audit log.",
        )


def note_reason(context: Context, planned: Sequence[PlannedMigration], reason: str | None) -> None:
    """Write to the journal that somebody ran this on a protected target without a plan: whoever watches is told. What a
    server was asked for was looked at by its door.
    """
    by_hand = context.trail is None or context.trail.where in ("command line", "python")
    if not (planned and reason and by_hand and protected(context)):
        return
    data = {"reason": context.conceal(reason), "owner": context.owner, "migrations": [each.name for each in planned]}
    context.target.append((Fact(kind="protected_run", run_id="", migration=planned[0].name, data=data),))


def protected(context: Context) -> bool:
    """True where losing data needs to be accepted in so many words."""
    return "production" in (context.policy.environment, context.target.describe().environment)
