"""The target remembers which environment it is; a run that thinks otherwise is refused."""

from __future__ import annotations

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


def protected(context: Context) -> bool:
    """True where losing data needs to be accepted in so many words."""
    return "production" in (context.policy.environment, context.target.describe().environment)
