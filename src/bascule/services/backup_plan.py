"""What a backup for the pending plan has to hold: the same as the one that `up` takes by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bascule.backups.endangered import endangered
from bascule.services.backup_create import CreateRequest
from bascule.services.plan import plan
from bascule.services.saving import reached

if TYPE_CHECKING:
    from bascule.services.context import Context


def planned_scope(context: Context) -> CreateRequest | None:
    """None where the pending migrations destroy nothing that there is. Raises as `plan`."""
    pending = plan(context).migrations
    found = endangered(pending, context.target.dialect)
    if not found.migrations:
        return None
    reach = reached(context, pending)
    if reach.tables == ():
        return None
    return CreateRequest(
        tables=reach.tables, migration=found.migrations[0], way_back_of=found.migrations, why="for the pending plan"
    )
