"""Folders to read, written in one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bascule.domain.migration import Migration
from bascule.ports.source import Source
from bascule.sources.detect import open_source
from bascule.sources.native import NativeSource


def write(folder: Path, *names: str) -> Path:
    """Files by name with nothing of interest in them; a name that ends in ``/`` is an empty folder."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("-- migrate:up\n" if name.endswith(".sql") else "")
    return folder


def names(source: Source) -> list[str]:
    return [ref.name for ref in source.listing()]


def read_native(
    folder: Path, text: str, *, name: str = "1_x.sql", variables: Mapping[str, str] | None = None
) -> Migration:
    """One native file, read."""
    (folder / name).write_text(text, newline="")
    source = NativeSource(str(folder), variables=variables)
    return source.read(source.listing()[0])


def read_only_one(folder: Path) -> Migration:
    source = open_source(str(folder))
    (ref,) = source.listing()
    return source.read(ref)
