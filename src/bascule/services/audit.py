"""Reading the audit log, which is itself written down there, and proving that nobody changed it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bascule.access.audit_chain import AuditLine, Finding, Head, has_key, verify
from bascule.errors import Refused, UsageError
from bascule.state import audit as log

if TYPE_CHECKING:
    from bascule.services.context import Context
    from bascule.services.trail import Trail

_MOST: Final = 100
"""Findings that are told one by one; a log that was written anew has one a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found out about the log."""

    lines: int
    head: Head | None
    """The newest line."""
    keyed: bool
    """It was looked at with the key."""
    noted: Head | None
    """The head that was kept outside of the database."""
    findings: tuple[Finding, ...]
    cannot: tuple[str, ...]
    """What this look cannot promise, and why."""

    @property
    def whole(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """In the JSON form."""
        return {
            "whole": self.whole,
            "lines": self.lines,
            "head": str(self.head) if self.head else None,
            "keyed": self.keyed,
            "noted": str(self.noted) if self.noted else None,
            "findings": [
                {"line": each.number, "kind": each.kind, "message": each.words} for each in self.findings[:_MOST]
            ],
            "more": max(0, len(self.findings) - _MOST),
            "cannotPromise": list(self.cannot),
        }


def read(context: Context, *, limit: int, before: int | None = None) -> list[dict[str, Any]]:
    """The newest lines, newest first."""
    door = context.target.state()
    try:
        return [shown(each) for each in log.newest(door, limit=limit, before=before)]
    finally:
        door.close()


def verified(context: Context, trail: Trail, heads: Sequence[Head] = ()) -> Verdict:
    """Look at every line. `heads`: what was printed at the end of runs, besides the one that is kept in a file. The
    look is written down too; that the log takes no line any more is a finding.

    Raises UsageError (code ``audit_head``) where that file is damaged.
    """
    trail.ask("audit verify", {"heads": [str(head) for head in heads]} if heads else {})
    kept, others, unread = _noted(context, trail, given=bool(heads))
    closed = ""
    if context.target.describe().prepared:
        try:
            trail.begin()
        except Refused as problem:
            closed = problem.message
    # What this very process wrote there says nothing about what was before it.
    noted = trail.before if trail.wrote else kept
    known = _Known(heads=heads, noted=noted, others=others, unread=unread, closed=closed, own=trail.number)
    verdict = _look(context, trail.key(), known)
    if trail.number is not None:
        trail.end("done", whole=verdict.whole)
    return verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known besides the log itself."""

    heads: Sequence[Head]
    noted: Head | None
    others: Mapping[str, Head]
    """Of the same address, under other identities."""
    unread: str
    """Why the file of the head cannot be read."""
    closed: str
    """Why the log takes no line."""
    own: int | None
    """The line that asks for this look."""

    @property
    def evidence(self) -> tuple[Head, ...]:
        return (*self.heads, *([self.noted] if self.noted else []))


def _look(context: Context, key: bytes | None, known: _Known) -> Verdict:
    door = context.target.state()
    last: Head | None = None
    count = without_key = 0

    def watched() -> Any:
        nonlocal last, count, without_key
        for each in log.lines(door):
            last, count = Head(number=each.number, mac=each.mac), count + 1
            if not has_key(each.mac):
                without_key = each.number
            yield each

    try:
        there = log.count(door)
        found = verify(watched(), key=key, heads=known.evidence)
    finally:
        door.close()
    if there > count:
        words = f"{there - count} more stand in the table that no number of a line leads to"
        found.append(Finding(number=last.number + 1 if last else 1, kind="inserted", words=words))
    if known.closed:
        found.append(Finding(number=last.number + 1 if last else 1, kind="unreadable", words=known.closed))
    if key is not None and without_key > max((each.number for each in known.evidence), default=0):
        words = (
            f"line {without_key} carries no key's code, and no head from after it was kept: whoever can write the "
            "table can have computed the lines up to it anew; if the key came in behind it, give a head of then by "
            "--head"
        )
        found.append(Finding(number=without_key, kind="unkeyed", words=words))
    for identity, head in known.others.items():
        words = (
            f"{head.number} lines were kept at this address of a target that called itself {identity}: its identity "
            f"was changed, or the database made anew; if it was, take {identity}.head out of BASCULE_AUDIT_DIR"
        )
        found.append(Finding(number=1, kind="identity", words=words))
    return Verdict(
        lines=count,
        head=last,
        keyed=key is not None,
        noted=known.noted,
        findings=tuple(_where_it_began(each, known.own) for each in found),
        cannot=tuple(_cannot(key is not None, known)),
    )


def _where_it_began(finding: Finding, own: int | None) -> Finding:
    """The line that asked for this look took the number of the first that was cut off."""
    if finding.kind == "cut" and own is not None and finding.number == own + 1:
        return dataclasses.replace(finding, number=own)
    return finding


def _noted(context: Context, trail: Trail, *, given: bool) -> tuple[Head | None, Mapping[str, Head], str]:
    """The head of the file, those of the same address, and why they cannot be read where others are `given` in their
    place.
    """
    door = context.target.state()
    try:
        about = door.about()
    finally:
        door.close()
    try:
        return (trail.heads.read(about) if about else None), trail.heads.others(about), ""
    except (OSError, ValueError) as problem:
        if given:
            return None, {}, str(problem)
        raise UsageError(
            f"The file that keeps the head of the audit log cannot be read: {problem}.",
            code="audit_head",
            hint="Look at the folder of BASCULE_AUDIT_DIR. Give a head that was printed at the end of a run by --head.",
        ) from problem


def _cannot(keyed: bool, known: _Known) -> list[str]:
    found = []
    if not keyed:
        found.append(
            "no key is set (BASCULE_AUDIT_KEY): whoever can write the table can compute the whole log anew, and this "
            "look would not see it"
        )
    if known.unread:
        found.append(f"the file that keeps the head cannot be read ({known.unread})")
    if not known.evidence:
        found.append(
            "no head is known outside of the database (BASCULE_AUDIT_DIR, or --head with what a run printed): lines "
            "that were cut off the end are not seen"
        )
    return found


def shown(line: AuditLine) -> dict[str, Any]:
    """A line in the JSON form. One that is no JSON any more is shown as it is."""
    try:
        entry = json.loads(line.entry)
    except ValueError:
        entry = {"unreadable": line.entry}
    return {"number": line.number, "timestamp": line.at, **(entry if isinstance(entry, dict) else {}), "mac": line.mac}
