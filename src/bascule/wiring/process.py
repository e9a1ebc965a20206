"""This process, as others read of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def owner() -> str:
    """This process as whoever waits for it reads it: user@host:pid."""
    # The account, not the variables of the environment: this stands in the audit log, and tells the author of a plan.
    return f"{_account()}@{os.uname().nodename}:{os.getpid()}"


def _account() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
