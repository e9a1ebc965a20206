"""Whether anything has changed since somebody looked: cheap to ask, however much there is."""

from __future__ import annotations

from collections.abc import Hashable

from bascule.services.context import Context


def pulse(context: Context) -> Hashable:
    """Another value than before as soon as a run begins or ends, the ledger is corrected, or the lease changes hands.
    Files that are written are not in it. Raises `TargetUnreachable`, `Refused`.
    """
    holder = context.target.holder()
    return context.target.newest_fact(), (holder.token, holder.owner, holder.run) if holder else None
