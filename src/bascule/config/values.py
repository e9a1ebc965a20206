"""From what was written to what is meant: one reader per kind of setting."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from bascule.config.nearest import nearest
from bascule.config.origin import Raw
from bascule.config.variables import Entry
from bascule.errors import ConfigError

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_KIND_UNIT = {"seconds": 1.0, "milliseconds": 0.001, "days": 86400.0}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


class _Wrong(Exception):
    """What is allowed instead, as the end of a sentence."""


def read_value(entry: Entry, raw: Raw, *, folder: Path) -> object:
    """The value of a setting; relative paths count from `folder`.

    Raises ConfigError naming the setting, where the value came from, and what is allowed. Secrets are not shown.
    """
    try:
        if entry.kind == "path":
            return folder / Path(_text(raw.value)).expanduser()
        if entry.kind in _OF_ENTRY:
            return _OF_ENTRY[entry.kind](entry, raw.value)
        return _OF_VALUE[entry.kind](raw.value)
    except _Wrong as wrong:
        shown = "" if entry.kind in ("secret", "url", "command") else f"{raw.value!r} "
        guess = nearest(str(raw.value), entry.allowed) if entry.allowed else ""
        raise ConfigError(
            f"Setting {entry.name}: the value {shown}({raw.origin}) is wrong; allowed: {wrong}.",
            hint=f"Did you mean {guess}?" if guess else "Correct it there.",
            details={"setting": entry.name, "origin": str(raw.origin)},
        ) from None


def duration(value: object, *, unit: float) -> float:
    """Seconds. A number without a unit is in `unit` seconds. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    if isinstance(value, str):
        found = _DURATION.fullmatch(value)
        if found is None or (found[2] and found[2].lower() not in _UNITS):
            raise ValueError(value)
        return float(found[1]) * (_UNITS[found[2].lower()] if found[2] else unit)
    if not math.isfinite(value) or value < 0:
        raise ValueError(value)
    return value * unit


def spelled(seconds: float) -> str:
    """A duration as a person would write it, in the largest unit that leaves no fraction: ``30 d``, ``90 s``."""
    for unit in ("d", "h", "min", "s", "ms"):
        count = seconds / _UNITS[unit]
        if count >= 1 and abs(count - round(count)) < 1e-9:
            return f"{round(count)} {unit}"
    return f"{seconds:g} s"


def _text(value: object) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or not value.strip():
        raise _Wrong("a text that is not empty")
    return value


def _flag(value: object) -> bool:
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise _Wrong("true, false, 1, 0, yes, no, on, off")


def _port(value: object) -> int:
    text = str(value).strip()
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise _Wrong("a port number from 1 to 65535")
    return int(text)


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) and word for word in value):
        raise _Wrong('a list of texts, as in ["table public.jobs"]')
    return tuple(value)


def _table(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _Wrong("a table of names with their texts")
    for name, text in value.items():
        if not isinstance(text, str | int | float) or isinstance(text, bool):
            raise _Wrong(f"texts or numbers; that of {name} is neither")
    return {str(name): str(text) for name, text in value.items()}


def _count(value: object) -> int:
    text = str(value).replace("_", "").strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,18}", text):
        raise _Wrong("a whole number from 0")
    return int(text)


def _rules(value: object) -> tuple[dict[str, object], ...]:
    """What the rules say is read by `bascule.validation.declared`."""
    if not isinstance(value, list | tuple) or not all(isinstance(each, Mapping) for each in value):
        raise _Wrong("a list of tables, [[validation.rules]]")
    return tuple(dict(each) for each in value)


def _choice(entry: Entry, value: object) -> str:
    word = str(value).strip().lower()
    if word not in entry.allowed:
        raise _Wrong(", ".join(entry.allowed))
    return word


def _duration(entry: Entry, value: object) -> float | None:
    if entry.optional and str(value).strip().lower() in ("none", "off", "0"):
        return None
    try:
        seconds = duration(value, unit=_KIND_UNIT[entry.kind])
    except ValueError:
        raise _Wrong(_duration_words(entry)) from None
    if seconds < entry.minimum:
        raise _Wrong(_duration_words(entry))
    return seconds


def _duration_words(entry: Entry) -> str:
    least = f", at least {entry.minimum:g} s" if entry.minimum else ""
    none = ', or "none"' if entry.optional else ""
    return f'a number of {entry.kind}, or a number with its unit as in "50ms", "3s", "2min", "1h", "7d"{least}{none}'


def _counted(value: str, entry: Entry) -> str:
    """What of it counts: blanks around a key are no part of what is hard to guess."""
    return value.strip() if entry.minimum > 1 else value


def _secret(entry: Entry, value: object) -> str:
    if isinstance(value, str) and len(_counted(value, entry).encode()) >= max(entry.minimum, 1):
        return value
    if entry.minimum > 1:
        raise _Wrong(f"a text of {entry.minimum:g} bytes or more, without the blanks around it")
    raise _Wrong("a text that is not empty")


_OF_VALUE: dict[str, Callable[[object], object]] = {
    "text": _text,
    "url": _text,
    "command": _text,
    "flag": _flag,
    "port": _port,
    "words": _words,
    "table": _table,
    "count": _count,
    "rules": _rules,
}
_OF_ENTRY: dict[str, Callable[[Entry, object], object]] = {
    "choice": _choice,
    "seconds": _duration,
    "milliseconds": _duration,
    "days": _duration,
    "secret": _secret,
}
