"""Reads the configuration file: `bascule.toml`, or the table `[tool.bascule]` of `pyproject.toml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bascule.config.nearest import nearest
from bascule.config.origin import Origin, Raw
from bascule.config.variables import BY_NAME, ENTRIES
from bascule.errors import ConfigError

OWN_FILE = "bascule.toml"
PROJECT_FILE = "pyproject.toml"

# Looked for before the parser is loaded: most projects have a pyproject.toml, and few of them configure Bascule in it.
_OUR_TABLE = re.compile(r"tool\s*\.\s*[\"']?bascule|^\s*[\"']?bascule[\"']?\s*[.=]", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """What a configuration file says, flattened to names of settings."""

    path: Path | None = None
    common: Mapping[str, Raw] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, Raw]] = field(default_factory=dict)
    """Named targets with what they say differently."""


def find_file(folder: Path, chosen: str | None) -> ConfigFile:
    """The chosen file, or the one in the folder.

    Raises ConfigError when the chosen one is missing, or one is unreadable or has unknown keys.
    """
    if chosen is not None:
        return _read(folder / Path(chosen).expanduser(), needed=True)
    own, project = _read(folder / OWN_FILE), _read(folder / PROJECT_FILE)
    if own.path and project.path:
        raise ConfigError(
            f"Both {OWN_FILE} and [tool.bascule] in {PROJECT_FILE} are there.",
            hint="Keep one of them, or name one with --config.",
        )
    return own if own.path else project


def _read(path: Path, *, needed: bool = False) -> ConfigFile:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if needed:
            raise ConfigError(f"There is no configuration file {path}.", hint="Check --config.") from None
        return ConfigFile()
    except OSError as exc:
        raise ConfigError(f"The configuration file {path} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"The configuration file {path} is not UTF-8 text.") from exc
    project = path.name == PROJECT_FILE
    if project and not _OUR_TABLE.search(text):
        if needed:
            raise ConfigError(f"There is no table [tool.bascule] in {path}.", hint="Check --config.")
        return ConfigFile()
    return _parse(text, path, project=project)


def _parse(text: str, path: Path, *, project: bool) -> ConfigFile:
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"The configuration file {path} is not valid TOML: {exc}.") from exc
    tool = document.get("tool")
    nested = isinstance(tool, dict) and "bascule" in tool
    if not nested:
        return ConfigFile() if project else _Reader(text=text, path=path, prefix="").file(document)
    if not project and len(document) > 1:
        raise ConfigError(
            f"{path} has both a table [tool.bascule] and keys outside of it.", hint="Keep one of the two forms."
        )
    table = document["tool"]["bascule"]
    if not isinstance(table, dict):
        raise ConfigError(f"[tool.bascule] in {path} is not a table.")
    return _Reader(text=text, path=path, prefix="tool.bascule").file(table)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    text: str
    path: Path
    prefix: str

    def file(self, table: dict[str, Any]) -> ConfigFile:
        targets = table.pop("targets", {})
        if not isinstance(targets, dict) or not all(isinstance(target, dict) for target in targets.values()):
            raise ConfigError(f"targets in {self.path} must be tables: [{self._dotted('targets.NAME')}].")
        return ConfigFile(
            path=self.path,
            common=dict(self._flat(table, "")),
            targets={name: dict(self._flat(target, f"targets.{name}")) for name, target in targets.items()},
        )

    def _flat(self, table: Mapping[str, Any], target: str, group: str = "") -> Iterator[tuple[str, Raw]]:
        for key, value in table.items():
            name = f"{group}{key}"
            entry = BY_NAME.get(name)
            if entry is None and isinstance(value, dict) and any(known.startswith(f"{name}.") for known in BY_NAME):
                yield from self._flat(value, target, f"{name}.")
                continue
            written = f"{target}.{name}" if target else name
            origin = Origin(layer="file", name=written, path=str(self.path), line=self._line(written))
            if entry is None or not entry.in_files or (target and not entry.per_target):
                raise self._unknown(name, origin, in_target=bool(target))
            yield name, Raw(value=value, origin=origin)

    def _unknown(self, name: str, origin: Origin, *, in_target: bool) -> ConfigError:
        entry = BY_NAME.get(name)
        if entry is not None and not entry.in_files:
            return ConfigError(
                f"{origin}: a secret does not belong in this file.",
                hint=f"Set the variable {entry.variable} or {entry.variable}_FILE, or password_command here."
                if name == "database_password"
                else f"Set the variable {entry.variable} or {entry.variable}_FILE.",
            )
        if entry is not None:
            return ConfigError(
                f"{origin}: this setting is not one of a single target.", hint="Move it out of the target's table."
            )
        known = [entry.name for entry in ENTRIES if entry.in_files and (entry.per_target or not in_target)]
        guess = nearest(name, [*known, *([] if in_target else ["targets"])])
        return ConfigError(
            f"{origin}: there is no such setting.",
            hint=f"Did you mean {guess}?" if guess else f"Settings: {', '.join(known)}.",
        )

    def _dotted(self, name: str) -> str:
        return f"{self.prefix}.{name}" if self.prefix else name

    def _line(self, name: str) -> int:
        """Line of the key. The TOML parser keeps no positions, so the text is searched for headers and keys."""
        wanted = self._dotted(name)
        header = ""
        for number, line in enumerate(self.text.splitlines(), start=1):
            content = line.strip()
            if found := re.match(r"\[\s*([^\[\]]+?)\s*\]", content):
                here = header = _plain(found[1])
            elif found := re.match(r"([^=#]+?)\s*=", content):
                here = f"{header}.{_plain(found[1])}".removeprefix(".")
            else:
                continue
            # Of a table, the first line that says something in it will do.
            if f"{here}.".startswith(f"{wanted}."):
                return number
        return 0


def _plain(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
