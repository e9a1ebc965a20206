"""Saying what will be lost, and having it accepted, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from bascule.domain.plan import PlannedMigration
from bascule.errors import Refused
from bascule.services.context import Context
from bascule.services.environment import protected


def accept_losses(
    context: Context,
    planned: Sequence[PlannedMigration],
    *,
    accepted: bool,
    yes: bool,
    losses: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """Name what cannot be undone; ask on a terminal; refuse in production unless it was accepted. Answers the words.
    `losses`: what they are, where that has been looked at more closely than `losses_of` does.

    Raises:
        Refused: code ``data_loss``.
    """
    losses = tuple(words for each in planned for words in losses_of(each)) if losses is None else tuple(losses)
    if not losses:
        return ()
    if accepted:
        return losses
    if protected(context):
        raise Refused(
            ("This will be lost" if planned[0].direction == "down" else "This cannot be undone")
            + ", and the target is production:\n"
            + "\n".join(f"  {words}" for words in losses),
            code="data_loss",
            hint="If the loss is meant, say so with --accept-data-loss.",
            details={"losses": list(losses)},
        )
    prefix = "Will be lost" if planned[0].direction == "down" else "Cannot be undone"
    for words in losses:
        context.say(f"{prefix}: {words}")
    if context.confirm is not None and not yes and not context.confirm("Go on?"):
        raise Refused("Not started: the loss was not accepted.", code="data_loss", details={"losses": list(losses)})
    return losses


def losses_of(planned: PlannedMigration) -> tuple[str, ...]:
    """What a planned migration takes away for good, in words."""
    words = [f"{planned.name}: {loss}" for loss in planned.destroys]
    if planned.direction == "up" and planned.steps and not planned.migration.ref.repeatable:
        migration = planned.migration
        if migration.irreversible:
            words.append(f"{planned.name}: the author says it cannot be undone: {migration.irreversible}")
        elif migration.up.empty:
            pass  # nothing is done, so nothing needs a way back
        elif migration.down is None:
            words.append(f"{planned.name}: it has no down script")
        elif migration.down.empty:
            words.append(f"{planned.name}: its down script is empty")
    return tuple(words)
