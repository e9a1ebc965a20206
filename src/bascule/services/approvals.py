"""Plans that are handed in, approved by somebody else than their author, and only then run on production."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bascule.domain.plan_file import PlanFile
from bascule.domain.run import iso
from bascule.errors import Refused, UsageError
from bascule.planning.plan_text import plan_text
from bascule.services.context import Context
from bascule.services.environment import protected
from bascule.services.trail import audited
from bascule.state import plans
from bascule.state.plans import Approval, KeptPlan

if TYPE_CHECKING:
    from bascule.domain.plan import PlannedMigration


_MOST = 100
"""Migrations that the audit log names."""
_LISTED = 50
"""Plans that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """A plan, and how it stands."""

    plan: KeptPlan
    approvals: tuple[Approval, ...]
    needed: int

    @property
    def approved(self) -> bool:
        """Enough people have given their word."""
        return len(persons(each.approver for each in self.approvals)) >= self.needed

    @property
    def migrations(self) -> tuple[str, ...]:
        """What it runs, in order."""
        return tuple(each["name"] for each in json.loads(self.plan.document)["migrations"])

    def as_dict(self) -> dict[str, Any]:
        """In the JSON form."""
        return {
            "id": self.plan.id,
            "author": self.plan.author,
            "createdAt": iso(self.plan.created_at),
            "expiresAt": iso(self.plan.expires_at),
            "migrations": list(self.migrations),
            "approvals": [{"by": each.approver, "at": iso(each.at)} for each in self.approvals],
            "approvalsNeeded": self.needed,
            "approved": self.approved,
        }


def hand_in(context: Context, planned: Sequence[PlannedMigration], author: str) -> PlanFile:
    """Write a plan down and keep it. Raises as `make_plan` of `bascule.services.plan_file`."""
    from bascule.services.plan_file import make_plan, plan_key

    plan = make_plan(context, planned, author=author)
    keep(context, plan, plan_text(plan, plan_key(context)))
    return plan


def keep(context: Context, plan: PlanFile, document: str) -> None:
    """Hand in what was written down already; that stands in the audit log. Raises as `audited`."""
    names = [each["name"] for each in json.loads(document)["migrations"]]
    with (
        audited(context, "plan", {"plan": plan.id, "migrations": names[:_MOST]}),
        closing(context.target.state()) as door,
    ):
        plans.add(
            door,
            KeptPlan(
                id=plan.id,
                author=plan.author,
                created_at=plan.created_at,
                expires_at=plan.expires_at,
                document=document,
            ),
        )


def stands(context: Context, its_id: str) -> Stood:
    """Raises UsageError (code ``unknown_plan``)."""
    with closing(context.target.state()) as door:
        found = plans.find(door, its_id) if door.about() else None
        if found is None:
            raise UsageError(
                f"There is no plan {its_id[:80]!a} for this target.",
                code="unknown_plan",
                hint="POST /plan hands one in; so does bascule plan --out FILE where approvals are asked for.",
            )
        given = tuple(plans.approvals(door, its_id))
    return Stood(plan=found, approvals=given, needed=context.policy.approvals)


def waiting(context: Context) -> tuple[Stood, ...]:
    """The plans that have not expired and of which something is pending, newest first: at most a few."""
    applied = {entry.name for entry in context.target.ledger()}
    with closing(context.target.state()) as door:
        found = plans.good(door, context.clock.now(), _LISTED) if door.about() else ()
        given = {each.id: tuple(plans.approvals(door, each.id)) for each in found}
    stood = (Stood(plan=each, approvals=given[each.id], needed=context.policy.approvals) for each in found)
    return tuple(each for each in stood if not {*each.migrations} <= applied)


def approve(context: Context, its_id: str, by: str) -> Stood:
    """Give one's word. Raises UsageError (code ``unknown_plan``), Refused (code ``own_plan``, ``plan_expired``)."""
    found = stands(context, its_id)
    now = context.clock.now()
    if same_person(found.plan.author, by):
        raise Refused(
            "A plan is not approved by its own author.",
            code="own_plan",
            hint="Ask somebody else.",
        )
    if now >= found.plan.expires_at:
        raise Refused(
            f"The plan was good until {iso(found.plan.expires_at)}.",
            code="plan_expired",
            hint="Make a new one.",
        )
    with closing(context.target.state()) as door:
        plans.approve(door, its_id, by, now)
    return stands(context, its_id)


def require_approved(context: Context, plan: PlanFile) -> None:
    """On production a plan runs when enough others than its author have approved it.

    Raises:
        Refused: code ``plan_unapproved``.
    """
    needed = context.policy.approvals
    if not needed or not protected(context):
        return
    from bascule.services.plan_file import kept_plan

    with closing(context.target.state()) as door:
        kept = plans.find(door, plan.id)
        author = plan.author if kept is None else kept.author
        given = [each for each in plans.approvals(door, plan.id) if not same_person(author, each.approver)]
    if kept is not None and kept_plan(context, kept).as_dict() != plan.as_dict():
        raise Refused(
            f"This is not the plan that was handed in as {plan.id}: somebody has written another one under its id.",
            code="plan_unapproved",
            hint="Hand this one in for itself: bascule plan --out FILE.",
        )
    have_given = persons(each.approver for each in given)
    if kept is None or len(have_given) < needed:
        have = ", ".join(have_given) or "nobody"
        raise Refused(
            f"The plan {plan.id} needs the approval of {needed} besides its author, and has that of {have}.",
            code="plan_unapproved",
            hint=f"An admin approves it by POST /api/v1/migrations/plans/{plan.id}/approve.",
        )


def same_person(one: str, other: str) -> bool:
    """Whether two names stand for one: the command line's are user@host:pid."""
    return _person(one) == _person(other)


def persons(names: Iterable[str]) -> list[str]:
    """One name of each person, in their order: whoever has several tokens is one person as far as their names tell."""
    return list({_person(each): each for each in reversed(list(names))}.values())[::-1]


def _person(name: str) -> str:
    return name.partition("@")[0].strip().casefold()
