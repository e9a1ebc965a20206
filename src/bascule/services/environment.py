"""The target remembers which environment it is; a run that thinks otherwise is refused."""

from __future__ import annotations

from collections.abc import Sequence

from bascule.domain.history import Fact
from bascule.domain.plan import PlannedMigration
from bascule.errors import Refused
from bascule.services.context import Context
from bascule.services.requests import RollbackRequest, UpRequest
from bascule.services.saving import may_destroy


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
            f"or correct the target's mark with: bascule init --environment {policy.environment} --yes"
            + (" --yes-production REASON" if remembered == "production" else ""),
        )
    if not policy.environment_named and remembered == "production":
        raise Refused(
            "The target says it is production, and no environment is set here.",
            code="environment_mismatch",
            hint="If production is meant, set MIGRATION_ENVIRONMENT=production.",
        )


def guard_run(context: Context, request: UpRequest, planned: Sequence[PlannedMigration]) -> None:
    """A protected target takes a plan that was looked at beforehand, or a reason, which the audit log keeps; and leaves
    out what protects it for a reason alone.

    Raises:
        Refused: code ``protected``.
    """
    if not protected(context) or _is_given(request.reason):
        return
    _require_guards(context, request, planned)
    if request.plan is None and not request.let_in:
        raise Refused(
            "The target is production: it takes a plan that somebody has looked at, or a reason.",
            code="protected",
            hint="bascule plan --out FILE, then bascule up --plan FILE; or bascule up --yes-production REASON, which "
            "is kept in the audit log.",
        )


def _require_guards(context: Context, request: UpRequest, planned: Sequence[PlannedMigration]) -> None:
    """What protects is left out by an option, or by a setting where the plan would have had use for it."""
    destroys = any(map(may_destroy, planned))
    guards = {
        "the validation": request.validate and context.policy.validate,
        "the backup": request.backup and (context.save or not destroys),
    }
    without = [name for name, stays in guards.items() if not stays]
    if without:
        raise Refused(
            f"The target is production: to leave out {' and '.join(without)} takes a reason.",
            code="protected",
            hint="Leave that option or setting out; or give a reason with bascule up --yes-production REASON, which is "
            "kept in the audit log and raises an alert.",
        )


def guard_change(context: Context, what: str, reason: str | None) -> None:
    """What goes by no plan (a rollback, a restore, a mark) is done to a protected target for a reason. `what`: with its
    article.

    Raises:
        Refused: code ``protected``.
    """
    if protected(context) and not _is_given(reason):
        raise Refused(
            f"The target is production: {what} takes a reason.",
            code="protected",
            hint="Give it with --yes-production REASON (over REST: reason); it is kept in the audit log and raises an "
            "alert.",
        )


def guard_rollback(context: Context, request: RollbackRequest) -> None:
    """As `guard_change`. Raises `Refused` (``protected``)."""
    if not request.let_in:
        guard_change(context, "a rollback", request.reason)


def note_reason(context: Context, what: str, names: Sequence[str], reason: str | None) -> None:
    """Write to the journal that somebody did this (``up``, ``rollback``…) to these on a protected target for that
    reason: whoever watches is told. What a server was asked for was looked at by its door, where no reason is given.
    """
    if not (_is_given(reason) and protected(context)):
        return
    who = context.trail.who if context.trail is not None else context.owner
    data = {"reason": context.conceal(reason or ""), "owner": who, "migrations": list(names), "what": what}
    migration = names[0] if names else ""
    context.target.append((Fact(kind="protected_run", run_id="", migration=migration, data=data),))


def _is_given(reason: str | None) -> bool:
    return bool(reason and reason.strip())


def protected(context: Context) -> bool:
    """True where losing data needs to be accepted in so many words."""
    return "production" in (context.policy.environment, context.target.describe().environment)
