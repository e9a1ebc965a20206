"""The folder of migrations and its hooks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bascule.config.settings import Settings
    from bascule.domain.migration import Hook
    from bascule.ports.source import Source


def open_source(settings: Settings) -> Source:
    """The migrations folder. Raises SourceError when there is none or its format cannot be told."""
    from bascule.sources.detect import open_source as detect

    return detect(short(settings.migrations_dir), format=settings.format, variables=settings.variables)


def short(path: Path) -> str:
    """As people would type it: relative where it is below the process's working folder."""
    try:
        return str(path.relative_to(os.getcwd()))
    except (ValueError, FileNotFoundError):
        return str(path)


def hooks_in(settings: Settings, format: str) -> Sequence[Hook]:  # noqa: A002
    """None for another tool's folder: what stands in a folder ``hooks`` there was never meant for us."""
    if format != "bascule":
        return ()
    from bascule.sources.hooks import hooks

    return hooks(str(settings.migrations_dir), variables=settings.variables)
