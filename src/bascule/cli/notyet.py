"""Options whose capability is not there yet: refused, so that nobody believes they were followed."""

from __future__ import annotations

from bascule.errors import Refused


def would_mislead(option: str, capability: str, instead: str) -> Refused:
    """For an option that would make a command do something else than asked if it were passed over."""
    return Refused(f"{option} cannot be followed: {capability} yet.", code="not_yet", hint=instead)
