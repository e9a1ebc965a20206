"""Options whose capability is not there yet: accepted, and said so once."""

from __future__ import annotations

from bascule.cli.call import Call
from bascule.errors import Refused


def changes_nothing(call: Call, given: dict[str, str]) -> None:
    """Say of each option given (option → its capability) that leaving it out would have been the same."""
    for option, capability in given.items():
        call.output.warn(f"{option} changes nothing: {capability} yet.")


def would_mislead(option: str, capability: str, instead: str) -> Refused:
    """For an option that would make a command do something else than asked if it were passed over."""
    return Refused(f"{option} cannot be followed: {capability} yet.", code="not_yet", hint=instead)
