"""Plan one migration, whatever language it is written in."""

from __future__ import annotations

from bascule.domain.migration import Direction, Migration
from bascule.domain.plan import PlannedMigration
from bascule.planning.own_tables import require_not_ours
from bascule.planning.steps import plan_migration
from bascule.services.context import Context


def plan_one(context: Context, migration: Migration, direction: Direction) -> PlannedMigration:
    """One direction of a migration, cut into steps. Python files are run against a recorder, in a child process,
    without a database.

    Raises what `plan_migration` raises, and `Refused` (``own_tables``).
    """
    script = migration.up if direction == "up" else migration.down
    if script is not None and script.language == "python":
        from bascule.services.python_migrations import plan_python

        return plan_python(context, migration, direction)
    planned = plan_migration(migration, direction, context.target.dialect)
    require_not_ours(planned, context.target.dialect, own=context.policy.own_schema)
    return planned
