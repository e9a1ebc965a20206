"""How the settings were made, so that a worker process can make the same ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bascule.config.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Flags, place and names, as `bascule.config.load.load` takes them. Its `repr` holds no flag: one may be an address
    with its password.
    """

    flags: Mapping[str, tuple[str, Any]] = field(default_factory=dict, repr=False)
    folder: str = field(default_factory=os.getcwd)
    config: str | None = None
    target: str | None = None
    alone: bool = False
    """What the flags say is the whole truth: no file and no variable of the environment is looked at."""

    def settings(self, **more: Any) -> Settings:
        """Load them; `more` are settings by name that win. Raises ConfigError."""
        from bascule.config.load import load

        flags = {**self.flags, **{name: (name, value) for name, value in more.items()}}
        if self.alone:
            return load(flags, environ={}, folder=self.folder, files=False)
        return load(flags, folder=self.folder, config=self.config, target=self.target)

    def as_dict(self) -> dict[str, Any]:
        """For a worker's standard input, which nobody else can read."""
        return {
            "flags": {name: list(value) for name, value in self.flags.items()},
            "folder": self.folder,
            "config": self.config,
            "target": self.target,
            "alone": self.alone,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Recipe:
        """What `as_dict` wrote."""
        flags = {name: (str(value[0]), value[1]) for name, value in given["flags"].items()}
        return cls(**{**given, "flags": flags})
