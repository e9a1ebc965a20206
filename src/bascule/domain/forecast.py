"""What a plan says beyond its statements: time, impact with reasons, the way back as a whole, and what is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bascule.domain.way_back import MigrationWayBack


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackPlan:
    """How all of it would be taken back."""

    target_migration: str | None
    """The one that would be the last applied again; None: none would be."""
    migrations_to_revert: tuple[str, ...]
    """In the order in which they are undone."""
    backup_required: bool
    """Something would be lost that the scripts and what is kept do not bring again: only a backup has it."""
    data_loss_warning: str | None
    estimated_time: int
    """Milliseconds."""
    dependencies: tuple[str, ...]
    """Migrations that those depend on, and that stay."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "targetMigration": self.target_migration,
            "migrationsToRevert": list(self.migrations_to_revert),
            "backupRequired": self.backup_required,
            "dataLossWarning": self.data_loss_warning,
            "estimatedTime": self.estimated_time,
            "dependencies": list(self.dependencies),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPlan:
    """What is looked at around it."""

    pre_migration_checks: tuple[str, ...]
    """What `up` asks of today's rows before anything runs."""
    post_migration_checks: tuple[str, ...]
    """What it looks at after each migration."""
    data_integrity_checks: tuple[str, ...]
    """Ids of the rules that `validate` asks."""
    performance_checks: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "preMigrationChecks": list(self.pre_migration_checks),
            "postMigrationChecks": list(self.post_migration_checks),
            "dataIntegrityChecks": list(self.data_integrity_checks),
            "performanceChecks": list(self.performance_checks),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """What is backed up before."""

    tables: tuple[str, ...] | None
    """None: the whole database."""
    why: tuple[str, ...]
    """Why the whole."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "scope": "database" if self.tables is None else "tables",
            "tables": list(self.tables or ()),
            "why": list(self.why),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationForecast:
    """Of one migration."""

    impact: str
    reasons: tuple[str, ...]
    estimate: Mapping[str, Any]
    """ms, low, high (milliseconds), basis (``history`` or ``prior``), runs."""
    back: MigrationWayBack
    """How it would be undone, and what that would lose and leave different."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of a plan."""

    migrations: Mapping[str, MigrationForecast]
    impact: str
    total: Mapping[str, Any]
    prior: str
    """What is assumed where there is no history, in words."""
    rollback: RollbackPlan
    validation: ValidationPlan
    backup: BackupPlan | None = None
    """Taken, restored and compared before anything starts; None: none is."""
    unseen: tuple[str, ...] = field(default=())
    """What could not be looked at, in words."""
