"""Which facts can be alerts; apart from alerts themselves, because the end of every run asks for it."""

from __future__ import annotations

from typing import Final

TELLING: Final = ("run_failed", "run_interrupted", "verdict", "validation_failed", "backup_verified", "protected_run")
"""Kinds of facts that can be alerts, whatever the settings say."""
