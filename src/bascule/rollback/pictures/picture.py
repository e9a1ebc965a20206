"""What a schema holds, as far as scripts and a look at the catalog tell: pure, and cheap to copy.

A picture is a flat mapping from keys to values. Keys name things (``("column", "users", "note")``), values are what of
them is compared. Of what nobody has told anything the value is `ANY`, which equals everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

Key = tuple[Any, ...]

OF_TABLE = ("column", "constraint", "trigger", "policy", "rule", "option")
"""Kinds of which a table's name comes second."""


class _Any:
    """It is there; nobody has told more of it."""

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = _Any()


class Failing(Exception):
    """A statement that cannot work on what the picture shows, in words."""


@dataclass(slots=True)
class Picture:
    """What is there."""

    known: bool = False
    """What is not in it is not there. Otherwise nobody knows, and what a statement takes away was there before."""
    parts: dict[Key, Any] = field(default_factory=dict)
    before: dict[Key, Any] = field(default_factory=dict)
    """Those that were there when it was `begun`, with what a statement has told of them since."""
    seen: set[Key] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    """Tables that have more columns than are told."""
    lost: set[tuple[str, str]] = field(default_factory=set)
    """Tables (with an empty second) and columns that went and of which not everything was known: what hung on them
    went too."""
    path: str = ""
    """The schema in which names without one are looked for, where it is not the usual one."""
    unsure: list[str] = field(default_factory=list)
    """What cannot be followed, in words."""
    added: dict[str, int] = field(default_factory=dict)
    """Tables into which rows were written that were not there before, with the line."""
    filled: set[tuple[str, str]] = field(default_factory=set)
    """Columns that were given values by an UPDATE."""

    def begun(self) -> Picture:
        """A copy that remembers how things were."""
        return Picture(
            known=self.known, parts=dict(self.parts), before=dict(self.parts), seen=set(self.seen), open=set(self.open)
        )

    def has(self, key: Key) -> bool:
        """Whether it is there. What may be there, for all that is known, is."""
        if key in self.parts:
            return True
        if self._is_told(key):
            return False
        self.parts[key] = self.before[key] = ANY
        self.seen.add(key)
        return True

    def put(self, key: Key, value: Any, *, replace: bool = False, unless: bool = False) -> None:
        """Make it. `replace`: OR REPLACE, `unless`: IF NOT EXISTS. Raises `Failing`."""
        if key in self.parts and not replace:
            if unless:
                return
            raise Failing(f"{shown(key)} is there already")
        if replace and key not in self.parts and not self._is_told(key):
            self.before[key] = ANY  # it may have stood there
        self.parts[key] = value
        self.seen.add(key)

    def change(self, key: Key, **values: Any) -> None:
        """Some properties of it. Raises `Failing`."""
        if not self.has(key):
            raise Failing(f"{shown(key)} is not there")
        value = self.parts[key]
        old = value if isinstance(value, dict) else {}
        if value is ANY:
            # What it was is not known, but that it was.
            first = self.before.get(key)
            self.before[key] = dict.fromkeys(values, ANY) | (dict(first) if isinstance(first, dict) else {})
        elif isinstance(first := self.before.get(key), dict):
            self.before[key] = {name: ANY for name in values if name not in first} | dict(first)
        self.parts[key] = {**old, **values}

    def take(self, key: Key, *, unless: bool = False) -> Any:
        """Away with it; `unless`: IF EXISTS. Raises `Failing`."""
        if not self.has(key):
            if unless:
                return None
            raise Failing(f"{shown(key)} is not there")
        self.seen.add(key)
        return self.parts.pop(key)

    def under(self, table: str) -> Iterator[Key]:
        """What belongs to a table, the table apart."""
        for key, value in list(self.parts.items()):
            if (
                (key[0] in OF_TABLE and key[1] == table)
                or (key[0] in ("index", "sequence") and isinstance(value, dict) and value.get("table") == table)
                or (key[0] == "comment" and key[2] == table)
            ):
                yield key

    def _is_told(self, key: Key) -> bool:
        """Whether it would be known if it were there."""
        if key in self.seen or key in self.before:
            return True
        if key[0] in OF_TABLE and (table := key[1]) not in self.open:
            made = self.parts.get(("table", table), ANY)
            return made is not ANY if not self.known else ("table", table) in self.parts
        if (
            key[0] == "comment"
            and self.parts.get(("column", *key[2:]) if key[1] == "column" else key[1:3], ANY) is not ANY
        ):
            return True  # what it speaks of is new
        return self.known and not (key[0] in OF_TABLE and key[1] in self.open)


def shown(key: Key) -> str:
    """A key for people."""
    kind, *rest = key
    if kind == "column":
        return f"column {rest[0]}.{rest[1]}"
    if kind in OF_TABLE:
        return f"{kind} {rest[1]} of {rest[0]}"
    if kind == "comment":
        return "comment of " + ".".join(map(str, rest[1:]))
    if kind == "function":
        arguments = "" if rest[1] is None else f"({', '.join(rest[1])})"
        return f"function {rest[0]}{arguments}"
    if kind == "grant":
        return f"grant of {rest[0]}"
    return f"{kind} {rest[0]}"
