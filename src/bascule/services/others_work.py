"""What somebody else has changed since a migration ran, where the database can tell."""

from __future__ import annotations

import re

from bascule.domain.plan import PlannedMigration
from bascule.domain.schema import Part, Snapshot
from bascule.errors import BasculeError
from bascule.ports.database import WorkFailed
from bascule.services.context import Context

_INNER = re.compile(r"\bsavepoint\b", re.IGNORECASE)


def others_work(
    context: Context, planned: PlannedMigration, before: Snapshot, after: Snapshot
) -> frozenset[Part] | None:
    """Of what is not as it was. None: nobody can tell.

    Transactions inside of the migration's own (a savepoint, a block of PL/pgSQL with EXCEPTION, what Python runs) have
    numbers that nobody has written down, so where there may be some, nobody can tell.
    """
    scripts = [each for each in (planned.migration.up, planned.migration.down) if each is not None]
    inner = any(each.language == "python" or _INNER.search(each.text) for each in scripts)
    touch = planned.touch
    if inner or touch.everything or any(each.kind == "routine" for each in touch.runs):
        return None
    keys = sorted(key for key, parts in after.objects.items() if before.objects.get(key) != parts)
    if not keys:
        return frozenset()
    try:
        return context.target.changed_since(planned.name, keys)
    except (BasculeError, WorkFailed):
        return None
