"""Other tools, with the same statements in their own formats. Each module makes contenders of one tool.

They are installed where they are asked for, outside of this checkout, by pip and npm as these are set up on the
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.many import Small
from benchmarks.peers import alembic, dbmate, django, knex, psql, typeorm, yoyo
from benchmarks.peers.installing import NotInstalled, Setting

_MAKERS: dict[str, Callable[[Setting], list[Contender]]] = {
    "psql": psql.contenders,
    "knex": knex.contenders,
    "typeorm": typeorm.contenders,
    "dbmate": dbmate.contenders,
    "alembic": alembic.contenders,
    "django": django.contenders,
    "yoyo": yoyo.contenders,
}
NAMES = tuple(_MAKERS)


@dataclass(slots=True, kw_only=True)
class Found:
    """Which tools are there."""

    contenders: list[Contender] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    """Name and version of what was installed."""
    missing: dict[str, str] = field(default_factory=dict)
    """Tools that cannot be had, and why."""


def find_peers(
    names: Sequence[str],
    *,
    dialect: str,
    migrations: list[Small],
    home: Path,
    tools: Path,
    server_programs: Path | None,
) -> Found:
    """Install those of the named ones that have a module here. `home` is for their migrations, `tools` for them."""
    found = Found()
    for name in (name for name in NAMES if name in names):
        setting = Setting(
            dialect=dialect,
            migrations=migrations,
            folder=home / name,
            tools=tools / name,
            server_programs=server_programs,
            versions=found.versions,
        )
        setting.folder.mkdir()
        try:
            found.contenders += _MAKERS[name](setting)
        except NotInstalled as reason:
            found.missing[name] = str(reason)
    return found
