"""The one table of permissions. What is not in it is denied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Role = Literal["viewer", "operator", "admin", "super_admin"]

ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin", "super_admin")
"""Each may what those before it may. Any other word is no role."""

ACTIONS: Final[Mapping[str, Role]] = {
    "status": "viewer",
    "health": "viewer",
    "metrics": "viewer",
    "alerts": "viewer",
    "performance": "viewer",
    "rules": "viewer",
    "report": "viewer",
    "export": "viewer",
    "runs": "viewer",
    "backups": "viewer",
    "plan.read": "viewer",
    "plan": "operator",
    "validate": "operator",
    "execute": "operator",
    "rollback": "operator",
    "control": "operator",
    "alerts.acknowledge": "operator",
    "performance.record": "operator",
    "logs": "operator",
    "backups.verify": "operator",
    "plan.approve": "admin",
    "audit": "admin",
    "cleanup": "super_admin",
}
"""What can be asked for, and the least role that may."""

PROTECTED: Final = frozenset({"execute", "rollback", "control"})
"""What changes the target: on production an admin's."""
_ON_PRODUCTION: Final[Role] = "admin"


def is_role(word: object) -> bool:
    """Whether it is the name of a role, exactly as written."""
    return isinstance(word, str) and word in ROLES


def needed(action: str, environment: str) -> Role | None:
    """The least role that may do it on a target of this environment; None: nobody may."""
    least = ACTIONS.get(action)
    if least is None:
        return None
    # An environment that is unknown is treated as the one that is protected.
    if action in PROTECTED and environment not in ("development", "staging"):
        return max(least, _ON_PRODUCTION, key=ROLES.index)
    return least


def may(role: str, action: str, environment: str) -> bool:
    """Whether this role may do it. False for a role or an action that is not known."""
    least = needed(action, environment)
    return least is not None and role in ROLES and ROLES.index(role) >= ROLES.index(least)
