"""Pending migrations from SQL, and what they need in short words."""

from __future__ import annotations

from bascule.domain.migration import Migration, MigrationRef, Script
from bascule.domain.plan import PlannedMigration
from bascule.domain.statement import Dialect
from bascule.planning.steps import plan_migration
from bascule.validation.needs.need import Need
from bascule.validation.needs.reading import list_needs


def planned(*scripts: str, dialect: Dialect = "postgresql") -> list[PlannedMigration]:
    """Migrations m1, m2, … of these scripts."""
    return [_planned(f"m{number}", script, dialect) for number, script in enumerate(scripts, 1)]


def needs(*scripts: str, dialect: Dialect = "postgresql") -> tuple[Need, ...]:
    return list_needs(planned(*scripts, dialect=dialect), dialect)


def judged(*scripts: str, dialect: Dialect = "postgresql") -> list[str]:
    """``line: words`` of the needs that today's rows can judge."""
    return [f"{need.line}: {need.words}" for need in needs(*scripts, dialect=dialect) if not need.doubt]


def doubts(*scripts: str, dialect: Dialect = "postgresql") -> list[str]:
    """Why the others cannot be judged."""
    return [need.doubt for need in needs(*scripts, dialect=dialect) if need.doubt]


def _planned(name: str, text: str, dialect: Dialect) -> PlannedMigration:
    script = Script(text=text, path=f"{name}.sql")
    ref = MigrationRef(name=name, version=name, order=(name,), path=script.path)
    return plan_migration(Migration(ref=ref, up=script, down=None, exact_hash=""), "up", dialect)
