"""Bascule: database migrations with a counterweight.

A bascule is a bridge whose span is balanced by a counterweight through its whole swing; *la bascule* is also French
for the
switch-over. Every change carries its way back, chosen before the change begins.

The story: *sources* list migrations → *planning* turns files and history into steps → the *engine* decides each next
command →
*services* perform it through *ports* → the *ledger* changes with the change, the *journal* keeps every fact →
*monitoring* tells
the world → a Report. *rollback* goes the other way and says how exact it came back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bascule.api import Bascule, DataValidationService, EnhancedMigrationService
    from bascule.api_monitoring import MigrationMonitoringService
    from bascule.errors import BasculeError

__version__ = "0.1.0"

__all__ = [
    "Bascule",
    "BasculeError",
    "DataValidationService",
    "EnhancedMigrationService",
    "MigrationMonitoringService",
    "__version__",
]

_HOMES = {
    "Bascule": "bascule.api",
    "DataValidationService": "bascule.api",
    "EnhancedMigrationService": "bascule.api",
    "MigrationMonitoringService": "bascule.api_monitoring",
    "BasculeError": "bascule.errors",
}


def __getattr__(name: str) -> Any:
    """Public names load what they need only when they are used, so that ``import bascule`` costs next to nothing."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
