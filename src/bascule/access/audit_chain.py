"""The arithmetic of the tamper-evident log: each line carries its number, the code of the line before it, and its own.

With a key the code is an HMAC-SHA256, and whoever has not the key cannot make one. Without a key it is a plain SHA-256,
which shows accidents only: whoever can write the table can compute it anew. A log whose tail was cut is whole in
itself, so the newest number and code (the head) are kept elsewhere too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

START: Final = ""
"""What the first line has for the code of the line before it."""
_KEYED: Final = "h1:"
_PLAIN: Final = "s1:"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One line as it is kept."""

    number: int
    """From 1, without gaps."""
    at: str
    """ISO 8601, UTC."""
    entry: str
    """JSON (`canonical`): who, from where, what, decision, outcome."""
    previous: str
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest line, as it was noted outside of the log."""

    number: int
    mac: str

    def __str__(self) -> str:
        return f"{self.number}:{self.mac}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is wrong."""

    number: int
    """The line where it shows."""
    kind: Literal["changed", "removed", "inserted", "order", "cut", "unreadable", "unkeyed", "identity"]
    words: str


def canonical(entry: Mapping[str, Any]) -> str:
    """One text for one content; ASCII, whatever the database's encoding."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)


def line(number: int, at: str, entry: str, previous: str, key: bytes | None) -> AuditLine:
    """The line with its code."""
    return AuditLine(number=number, at=at, entry=entry, previous=previous, mac=code(number, at, entry, previous, key))


def code(number: int, at: str, entry: str, previous: str, key: bytes | None) -> str:
    """The code of a line. The lengths are part of it, so no field can lend letters to its neighbour."""
    fields = (str(number), at, previous, entry)
    message = b"".join(b"%d:%s" % (len(data), data) for data in (each.encode("utf-8") for each in fields))
    if key is None:
        return _PLAIN + hashlib.sha256(message).hexdigest()
    return _KEYED + hmac.new(key, message, hashlib.sha256).hexdigest()


def has_key(mac: str) -> bool:
    """Whether the code was made with a key, as it says itself."""
    return mac.startswith(_KEYED)


def read_head(text: str) -> Head:
    """A head as `str` wrote it. Raises ValueError."""
    number, colon, mac = text.strip().partition(":")
    if not colon or not number.isdigit() or not mac.startswith((_KEYED, _PLAIN)):
        raise ValueError(f"{text!r} is not NUMBER:CODE, as it is printed at the end of each run")
    return Head(number=int(number), mac=mac)


def verify(lines: Iterable[AuditLine], *, key: bytes | None, heads: Iterable[Head] = ()) -> list[Finding]:
    """Everything that is wrong with the log, by line. `lines` come in the order of their numbers.

    `key` None: only what contradicts itself is found. `heads`: what was noted elsewhere, each of which must be there.
    """
    found: list[Finding] = []
    noted = {head.number: head.mac for head in heads}
    seen: dict[int, str] = {}
    expected, before = 1, START
    for each in lines:
        if each.number < 1:
            words = f"after line {expected - 1} stands one that has no number"
            found.append(Finding(number=expected, kind="unreadable", words=words))
            continue
        found += _line(each, expected, before, key)
        if each.number in noted:
            seen[each.number] = each.mac
        expected, before = each.number + 1, each.mac
    last = expected - 1
    for number, mac in sorted(noted.items()):
        if number > last:
            words = f"the log ends with line {last}, and line {number} was noted elsewhere: its tail was cut off"
            found.append(Finding(number=last + 1, kind="cut", words=words))
        elif number in seen and not hmac.compare_digest(seen[number], mac):
            words = f"line {number} is not the one that was noted elsewhere: the log was written anew up to there"
            found.append(Finding(number=number, kind="changed", words=words))
    return found


def _line(each: AuditLine, expected: int, before: str, key: bytes | None) -> list[Finding]:
    found = []
    if each.number > expected:
        gone = f"line {expected}" if each.number == expected + 1 else f"lines {expected} to {each.number - 1}"
        found.append(Finding(number=expected, kind="removed", words=f"{gone}: not there any more"))
    elif each.number < expected:
        words = f"line {each.number} comes after line {expected - 1}"
        found.append(Finding(number=each.number, kind="order", words=words))
    elif not hmac.compare_digest(each.previous.encode(), before.encode()):
        words = f"line {each.number} does not follow the line before it: one of the two is not the one that was written"
        found.append(Finding(number=each.number, kind="inserted", words=words))
    with_key = each.mac.startswith(_KEYED)
    if with_key and key is None:
        return found
    # Where there is a key a line without one is a line that somebody else wrote, once a keyed line came before it.
    own = code(each.number, each.at, each.entry, each.previous, key if with_key else None)
    if not hmac.compare_digest(own.encode(), each.mac.encode()):
        words = f"line {each.number} was changed after it was written, or was written by somebody without the key"
        found.append(Finding(number=each.number, kind="changed", words=words))
    elif not with_key and before.startswith(_KEYED):
        words = f"line {each.number} has no key's code, and those before it have"
        found.append(Finding(number=each.number, kind="inserted", words=words))
    return found
