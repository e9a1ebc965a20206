"""Pending migrations from SQL."""

from __future__ import annotations

from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Dialect
from bascule.planning.steps import plan_migration


def planned(*scripts: str, dialect: Dialect = "postgresql") -> list[PlannedMigration]:
    """Migrations m1, m2, … of these scripts."""
    return [_planned(f"m{number}", script, dialect) for number, script in enumerate(scripts, 1)]


def _planned(name: str, text: str, dialect: Dialect) -> PlannedMigration:
    script = Script(text=text, path=f"{name}.sql")
    ref = MigrationRef(name=name, version=name, order=(name,), path=script.path)
    return plan_migration(Migration(ref=ref, up=script, down=None, exact_hash=""), "up", dialect)
