"""What a person asked for, with every option of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bascule.domain.plan_file import PlanFile


@dataclass(frozen=True, slots=True, kw_only=True)
class UpRequest:
    """Apply migrations: all pending ones, or those named with what they need, or up to one, or the first few."""

    names: tuple[str, ...] = ()
    to: str | None = None
    steps: int | None = None
    dry_run: bool = False
    accept_data_loss: bool = False
    yes: bool = False
    """Every question was answered yes beforehand."""
    validate: bool = True
    backup: bool = True
    plan: PlanFile | None = None
    """Exactly these, in the world of that plan; in the place of `names`, `to` and `steps`."""
    progress: bool = True
    rollback_on_failure: bool = True
    reason: str | None = None
    """Why a protected target may be changed without a plan that was made beforehand, or without what protects it."""
    let_in: bool = False
    """A server's door has looked at who asks, and for what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    """Undo migrations: the last applied, one by name with those that depend on it, the last few, or back to one
    (which stays).
    """

    name: str | None = None
    to: str | None = None
    steps: int | None = None
    backup: str | None = None
    dry_run: bool = False
    accept_data_loss: bool = False
    yes: bool = False
    validate: bool = True
    make_backup: bool = True
    reason: str | None = None
    """Why a protected target may be changed."""
    let_in: bool = False
    """A server's door has looked at who asks, and for what."""
