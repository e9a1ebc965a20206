"""What a person means by the name of a migration.

``20240101000000_AddUserTable`` is found by its name, by its version ``20240101000000`` (leading zeros and dashes do
not count), by the part after it, ``AddUserTable``, and by its file name. An exact name wins over a version, a version
over a part. Whatever finds none or several is refused with what is near.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from bascule.errors import UsageError

if TYPE_CHECKING:
    from typing import Protocol

    class Named(Protocol):
        """What can be looked up by name: a migration of the folder, or an entry of the ledger."""

        @property
        def name(self) -> str: ...
        @property
        def version(self) -> str: ...
        @property
        def repeatable(self) -> bool: ...


N = TypeVar("N", bound="Named")

_NUMBER = re.compile(r"[0-9][0-9-]*[ _.-]*")
_DIGITS = re.compile(r"[0-9][0-9-]*\Z")
_LONGEST = 255


class Names(Generic[N]):
    """An index of migrations by everything that they may be called. Built once, in linear time."""

    def __init__(self, migrations: Iterable[N]) -> None:
        self._by_name: dict[str, N] = {}
        self._by_version: dict[str, list[N]] = {}
        self._by_number: dict[str, list[N]] = {}
        self._by_label: dict[str, list[N]] = {}
        for migration in migrations:
            self._by_name[migration.name] = migration
            if migration.version:
                self._by_version.setdefault(migration.version, []).append(migration)
                self._by_number.setdefault(_number(migration.version), []).append(migration)
            label = label_of(migration)
            if label:
                self._by_label.setdefault(label, []).append(migration)

    def called(self, name: str) -> tuple[N, ...]:
        """All that `name` may mean: none, one, or the several among which it does not decide."""
        for wanted in dict.fromkeys((name, _without_extension(name))):
            if wanted in self._by_name:
                return (self._by_name[wanted],)
        if _DIGITS.match(name):
            found = self._by_version.get(name) or self._by_number.get(_number(name))
            if found:
                return tuple(found)
        for wanted in dict.fromkeys((name, _without_extension(name))):
            if wanted in self._by_label:
                return tuple(self._by_label[wanted])
        return ()

    def find(self, name: str) -> N:
        """The one migration that `name` means.

        Raises:
            UsageError: ``not_a_name`` (empty, a path, SQL, control characters), ``unknown_migration`` with the nearest
                names, ``ambiguous_name`` with all that it may mean.
        """
        found = self.called(name)
        if len(found) == 1:
            return found[0]
        if found:
            names = [each.name for each in found]
            raise UsageError(
                f"{name} is ambiguous: it may mean {_and_more(names)}.",
                code="ambiguous_name",
                hint="Write the whole name.",
                details={"name": name, "matches": names},
            )
        why_not = _why_not_a_name(name)
        if why_not:
            raise UsageError(
                f"{_quoted(name)} is not the name of a migration: {why_not}.",
                code="not_a_name",
                hint="A migration is named by its file's name without the extension, by its version, or by the part "
                "after the version. `bascule status` lists them.",
            )
        raise self.unknown(name)

    def nearest(self, name: str) -> list[str]:
        """Up to three names that look most like `name`, the nearest first."""
        import difflib  # only errors need it

        spellings = {each.lower(): each for each in self._by_name}
        for label, migrations in self._by_label.items():
            spellings.setdefault(label.lower(), migrations[0].name)
        close = difflib.get_close_matches(name.lower(), spellings, n=6, cutoff=0.6)
        return list(dict.fromkeys(spellings[each] for each in close))[:3]

    def unknown(self, name: str) -> UsageError:
        """The error for a name that nothing has."""
        near = self.nearest(name)
        hint = f"Did you mean {' or '.join(near)}?" if near else "`bascule status` lists the migrations there are."
        if not self._by_name:
            hint = "The folder holds no migrations; check --migrations-dir or MIGRATION_DIR."
        return UsageError(
            f"There is no migration {_quoted(name)}.",
            code="unknown_migration",
            hint=hint,
            details={"name": name, "nearest": near},
        )


def find(name: str, refs: Iterable[N]) -> N:
    """The one of `refs` that `name` means. Raises `UsageError` as `Names.find` does."""
    return Names(refs).find(name)


def label_of(migration: Named) -> str:
    """The part of the name after the version; empty where the name is nothing but a version."""
    name = migration.name
    if migration.repeatable:
        return name.removeprefix("R__")
    number = _NUMBER.match(name)
    if number:
        return name[number.end() :]
    return name.removeprefix(f"{migration.version}_") if migration.version else ""


def _number(version: str) -> str:
    return version.replace("-", "").lstrip("0") or "0"


def _without_extension(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return stem if dot and extension in ("sql", "py") else name


_SQL = (
    r"(?is)\s*(?:select\s|insert\s+into\s|delete\s+from\s|update\s+\S+\s+set\s"
    r"|(?:drop|create|alter|truncate)\s+(?:table|index|view|schema|database|type|function|sequence|role|user)\b)"
    r"|.*(?:;|/\*|--(?:\s|\Z))"
)


def _why_not_a_name(name: str) -> str | None:
    if not name.strip():
        return "it is empty"
    if not name.isprintable():
        return "it holds characters that do not print"
    if "/" in name or "\\" in name or name in (".", ".."):
        return "it is a path"
    if len(name) > _LONGEST:
        return "it is too long"
    if re.match(_SQL, name):
        return "it is SQL"
    return None


def _quoted(name: str) -> str:
    short = name if len(name) <= 80 else name[:77] + "…"
    return ascii(short) if not short.isprintable() or not short.strip() else f"“{short}”" if " " in short else short


def _and_more(names: list[str]) -> str:
    return " or ".join(names[:5]) + (f" or {len(names) - 5} others" if len(names) > 5 else "")
