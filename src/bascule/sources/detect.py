"""Which format a folder has, by the shape of its listing; where names cannot tell, by the first and the last file.

A folder is read only when one format explains it. One that shows several, and one that another tool's format explains,
is refused with what was seen. A folder without any migration is native: a project that begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bascule.errors import ConfigError, SourceError
from bascule.ports.source import Source
from bascule.sources import diesel, foreign, golang_migrate, native
from bascule.sources.folder import Folder, scan, shown
from bascule.sources.reading import read_bytes

FORMATS = ("bascule", "golang-migrate", "diesel")
"""The formats that are read, as `Source.format` and the setting name them."""

_RECOGNISERS = {"bascule": native.recognises, "golang-migrate": golang_migrate.recognises, "diesel": diesel.recognises}

# Names that look the same to every recogniser but for their last part.
_ALIKE = re.compile(r"[0-9]+_[^.]*\.(sql|up\.sql|down\.sql|py)\Z")

# Enough to hold a licence in front of the markers.
_LOOK = 65_536


def open_source(folder: str, *, format: str | None = None, variables: Mapping[str, str] | None = None) -> Source:  # noqa: A002
    """A reader for `folder`. `format` overrides what the folder looks like; `variables` are for native SQL.

    Raises `SourceError` (no such folder, several formats, a format not read yet) and `ConfigError` (no such format,
    unusable variables).
    """
    if format is not None and format not in FORMATS:
        raise ConfigError(
            f"There is no format {format!r} of migration folders.", hint=f"Allowed are: {', '.join(FORMATS)}."
        )
    seen = scan(folder)
    chosen = format or detect(seen)
    if chosen == "golang-migrate":
        return golang_migrate.GolangMigrateSource(seen.path, seen=seen)
    if chosen == "diesel":
        return diesel.DieselSource(seen.path, seen=seen)
    return native.NativeSource(seen.path, variables=variables, seen=seen)


def detect(folder: Folder) -> str:
    """One of `FORMATS`. Raises `SourceError` for a mixture and for a format that is known but not read yet."""
    folder = _examples(folder)
    seen = {name: reason for name, (certainty, reason) in _recognised(folder).items() if certainty}
    seen |= foreign.by_listing(folder, partial(diesel.holds, folder))
    if "bascule" in seen:
        signs = _signs(folder)
        if "bascule" not in signs and (signs or not seen.keys() <= set(FORMATS)):
            del seen["bascule"]  # the files named like native ones are another tool's own
        seen = signs | seen
    if len(seen) > 1:
        raise _mixture(folder, seen)
    for tool, example in seen.items():
        if tool not in FORMATS:
            raise _not_read_yet(folder, tool, example)
    return next(iter(seen), "bascule")


def _examples(folder: Folder) -> Folder:
    """The folder with the first and the last file of each kind that comes by the thousand, and with all others."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    others: list[str] = []
    for name in folder.files:
        match = _ALIKE.match(name)
        if match is None:
            others.append(name)
            continue
        kind = match[1]
        if name < first.setdefault(kind, name):
            first[kind] = name
        if name > last.setdefault(kind, name):
            last[kind] = name
    return replace(folder, files=(*dict.fromkeys((*first.values(), *last.values())), *others))


def _recognised(folder: Folder) -> dict[str, tuple[int, str]]:
    return {name: recognises(folder) for name, recognises in _RECOGNISERS.items()}


def _signs(folder: Folder) -> dict[str, str]:
    """Whose signs the text of files named like native ones carries: tools with an example; none where nothing tells."""
    signs: dict[str, str] = {}
    # A link that leads out is never opened; the reader refuses it by name.
    names = [name for name in folder.files if native.is_versioned(name) and name not in folder.escaping]
    for extension, own_sign, tool_of in (
        (".sql", "migrate:up", foreign.tool_of_text),
        (".py", "def up(", foreign.tool_of_python),
    ):
        alike = [name for name in names if name.endswith(extension)]
        for name in sorted({min(alike), max(alike)} if alike else ()):
            text = read_bytes(folder.join(name))[:_LOOK].decode("utf-8", errors="replace")
            tool = "bascule" if own_sign in text else tool_of(text)
            if tool:
                signs.setdefault(tool, name)
    return signs


def _mixture(folder: Folder, seen: Mapping[str, str]) -> SourceError:
    return SourceError(
        f"{folder.path} mixes formats: " + ", ".join(f"{tool} ({shown(seen[tool])})" for tool in sorted(seen)) + ".",
        code="mixed_formats",
        hint="Keep one format in a folder, or name the one to read; the other files are then passed over.",
        details={"path": folder.path, "seen": dict(seen)},
    )


def _not_read_yet(folder: Folder, tool: str, example: str) -> SourceError:
    return SourceError(
        f"{folder.path} is a folder of {tool} ({shown(example)}), a format that Bascule does not read yet.",
        code="unsupported_format",
        hint=f"Formats that are read: {', '.join(FORMATS)}. If it is one of these, name it.",
        details={"path": folder.path, "format": tool, "seen": shown(example)},
    )
