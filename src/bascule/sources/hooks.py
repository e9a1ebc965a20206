"""Scripts in the native ``hooks/`` folder: SQL that runs on the target before and after up and rollback.

``before_up.sql``, ``after_up.sql``, ``before_rollback.sql``, ``after_rollback.sql``. Each runs in a transaction of its
own; none of them is in the ledger. They have no markers: the whole file is the script.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from bascule.domain.migration import Hook, HookEvent, Script
from bascule.sources.comments import nothing_in
from bascule.sources.folder import HOOKS, Folder, require_names, scan, shown
from bascule.sources.reading import decode, read_bytes
from bascule.sources.variables import require_usable, substitute

EVENTS: tuple[HookEvent, ...] = get_args(HookEvent)


def hooks(folder: str, *, variables: Mapping[str, str] | None = None) -> tuple[Hook, ...]:
    """The hooks of a folder, in the order of `EVENTS`; none where it has no ``hooks/``. Raises `SourceError`."""
    inner = _inner(folder)
    if inner is None:
        return ()
    require_usable(variables or {})
    present = [event for event in EVENTS if f"{event}.sql" in inner.files]
    require_names(inner, [f"{event}.sql" for event in present])
    return tuple(_read(event, inner.join(f"{event}.sql"), variables or {}) for event in present)


def unknown_hooks(folder: str) -> tuple[str, ...]:
    """A sentence for each entry of ``hooks/`` that never runs. Raises `SourceError`."""
    inner = _inner(folder)
    if inner is None:
        return ()
    known = {f"{event}.sql" for event in EVENTS}
    strangers = sorted(name for name in (*inner.files, *inner.folders) if name not in known)
    return tuple(f"{HOOKS}/{shown(name)}: no hook; known are {', '.join(sorted(known))}" for name in strangers) + tuple(
        f"{HOOKS}/{word}" for word in inner.aside
    )


def _inner(folder: str) -> Folder | None:
    outer = scan(folder)
    if HOOKS not in outer.folders:
        return None
    require_names(outer, [HOOKS])
    return scan(outer.join(HOOKS))


def _read(event: HookEvent, path: str, variables: Mapping[str, str]) -> Hook:
    text = substitute(decode(read_bytes(path), path), variables, path=path, line=1)
    return Hook(event=event, script=Script(text=text, path=path, empty=nothing_in(text)))
