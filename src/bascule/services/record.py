"""Correct the ledger without running anything: under the lease, in one transaction, with the reason in the journal."""

from __future__ import annotations

import dataclasses
from typing import Any

from bascule.domain.history import Fact
from bascule.ports.database import Job, LedgerChange
from bascule.services.context import Context
from bascule.services.failures import unplanned
from bascule.services.leasing import leased
from bascule.services.runs import RunNames
from bascule.services.trying import Attempts


def record(context: Context, name: str, change: LedgerChange, kind: str, data: dict[str, Any]) -> str:
    """Write the change and the fact of it; answers the run id. Raises as `up`."""
    context.target.prepare()
    with leased(context, f"{kind} {name}") as lease:
        assert lease is not None, "without `needless` the lease is had or an error raised"
        run_id = change.entry.run_id if change.entry and kind == "accepted" else RunNames(context.clock).mint(name)
        if change.entry is not None and not change.entry.run_id:
            change = LedgerChange(entry=dataclasses.replace(change.entry, run_id=run_id))
        fact = Fact(kind=kind, run_id=run_id, migration=name, data=data)
        job = Job(
            run_id=run_id,
            migration=name,
            direction="up",
            ledger=change,
            clear_marks=kind == "marked",
            forget_before=change.remove is not None,
            facts=(fact,),
        )
        with unplanned(name):
            Attempts(context=context, lease=lease, tell=lambda words, blockers: None).perform(
                job, watch=None, meanwhile=None
            )
    return run_id
