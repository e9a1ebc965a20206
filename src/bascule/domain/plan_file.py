"""A plan as it is kept in a file: what would run, by names and hashes, and the world it was made for. It holds nothing
that can be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FORMAT = 1
"""The newest form that this version reads and the one it writes."""
KIND = "bascule plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHashes:
    """One migration, by the hashes of its files."""

    name: str
    exact: str
    """SHA-256 of the bytes of the up file."""
    semantic: str
    """SHA-256 of what the up means, with the values of variables in it."""
    parser: str
    down: str
    """SHA-256 of the way back as written; empty where there is none."""

    def as_dict(self) -> dict[str, str]:
        """The JSON form."""
        return {
            "name": self.name,
            "exact": self.exact,
            "semantic": self.semantic,
            "parser": self.parser,
            "down": self.down,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What has to be the same when the plan is run."""

    target: Mapping[str, str]
    """dialect, database, location, identity (empty where nothing tells it), environment."""
    applied: int
    """Migrations in the ledger."""
    newest: str
    """The one applied last; empty where there is none."""
    ledger: str
    """SHA-256 over names and hashes of all of them, in their order."""
    hooks: Mapping[str, str] = field(default_factory=dict)
    """Event → SHA-256 of the script that runs with it."""
    objects: Mapping[str, str] = field(default_factory=dict)
    """Object that the plan touches → SHA-256 of its definition in the catalog."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "target": dict(self.target),
            "ledger": {"applied": self.applied, "newest": self.newest, "digest": self.ledger},
            "hooks": dict(self.hooks),
            "objects": dict(self.objects),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan that was written down."""

    id: str
    created_at: datetime
    expires_at: datetime
    author: str
    """user@host:pid of the process that made it."""
    version: str
    """Bascule's own."""
    migrations: tuple[FileHashes, ...]
    """In the order in which they run."""
    world: World

    @property
    def names(self) -> tuple[str, ...]:
        """Of the migrations, in order."""
        return tuple(each.name for each in self.migrations)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form, without signature."""
        return {
            "kind": KIND,
            "format": FORMAT,
            "id": self.id,
            "createdAt": self.created_at.isoformat(),
            "expiresAt": self.expires_at.isoformat(),
            "author": self.author,
            "basculeVersion": self.version,
            "migrations": [each.as_dict() for each in self.migrations],
            **self.world.as_dict(),
        }


def plan_of(data: Mapping[str, Any]) -> PlanFile:
    """The plan that a JSON object holds. Raises `ValueError`, in words, for anything else."""
    if data.get("kind") != KIND:
        raise ValueError("it is no plan")
    form = data.get("format")
    if form != FORMAT:
        raise ValueError(f"it has the format {form!r}, and this version reads {FORMAT}")
    try:
        return _read(data)
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise ValueError(f"a part of it is missing or wrong: {wrong}") from wrong


def _read(data: Mapping[str, Any]) -> PlanFile:
    ledger = data["ledger"]
    return PlanFile(
        id=_text(data["id"]),
        created_at=_moment(data["createdAt"]),
        expires_at=_moment(data["expiresAt"]),
        author=_text(data["author"]),
        version=_text(data["basculeVersion"]),
        migrations=tuple(FileHashes(**_texts(each)) for each in data["migrations"]),
        world=World(
            target=_texts(data["target"]),
            applied=int(ledger["applied"]),
            newest=_text(ledger["newest"]),
            ledger=_text(ledger["digest"]),
            hooks=_texts(data["hooks"]),
            objects=_texts(data["objects"]),
        ),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _texts(value: Any) -> dict[str, str]:
    return {_text(key): _text(text) for key, text in value.items()}


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return moment
