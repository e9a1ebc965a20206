"""Native SQL files: one file, both directions, with the markers that dbmate users know.

The rules, in the order in which a file meets them:

* A marker is a line that begins with ``--`` in its first column, then ``migrate:up`` or ``migrate:down`` in lower case,
  then nothing or options. ``transaction:false`` is the option there is; an unknown one is named in a warning.
* A line that was clearly meant as a marker but is none (``-- Migrate:Down``, indented, ``-- migrate: down``) is
  refused: read as a comment it would make the way back a part of the way there.
* Before the first ``migrate:up`` stand comments and blank lines only. They are the description;
  ``-- depends: a, b`` among them declares dependencies, ``-- depends:`` that there are none.
* A file without ``migrate:up`` is refused, an empty one too: it is not finished yet. An up block with nothing in it is
  a migration that changes nothing (`Script.empty`).
* Without ``migrate:down`` there is no way back (`Migration.down` is None).
* Several pairs in one file: all up blocks are run, as one script, in the order of the file, and all down blocks
  likewise; a warning says so, since older releases of dbmate run the first block only.
* ``R__name.sql`` needs no markers: without them the whole file is the script.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from bascule.domain.migration import Direction, Migration, MigrationRef, Script
from bascule.errors import SourceError
from bascule.sources.comments import nothing_in, prose, skip
from bascule.sources.foreign import tool_of_text
from bascule.sources.reading import decode, digest
from bascule.sources.variables import substitute

_MARKER = re.compile(r"^--[ \t\f\v]*migrate:(up|down)(?:[ \t\f\v]+(\S[^\n]*?))?[ \t\r\f\v]*$", re.MULTILINE)
_ALMOST = re.compile(
    r"^[ \t]*--+[ \t]*migrate[ \t]*:[ \t]*(?:up|down)\b[ \t]*(?:transaction[ \t]*:[^\n]*)?[;.:]?[ \t\r]*$",
    re.MULTILINE | re.IGNORECASE,
)
_DEPENDS = re.compile(r"^--[ \t]*depends:[ \t]*([^\n]*?)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)


class _Block(NamedTuple):
    """From a marker to the next one."""

    direction: Direction
    transaction: bool
    marker: int
    """Offset of the marker's line."""
    start: int
    """Offset of the line after the marker's."""
    end: int
    line: int
    """Line of the marker."""


def read_sql(ref: MigrationRef, data: bytes, variables: Mapping[str, str]) -> Migration:
    """A native SQL file from its bytes. Raises `SourceError` with file and line."""
    text = decode(data, ref.path)
    warnings: list[str] = []
    blocks = _blocks(text, ref.path, warnings)
    if ref.repeatable and not blocks:
        blocks = [_Block("up", True, 0, 0, len(text), 0)]
        preface = text[: skip(text)]
    else:
        _require_order(text, blocks, ref.path)
        preface = text[: blocks[0].marker]
        warnings += _late_depends(text, blocks[0].start, ref.path)
    ups = [block for block in blocks if block.direction == "up"]
    downs = [block for block in blocks if block.direction == "down"]
    if len(ups) > 1:
        warnings.append(_several(ups, downs, ref.path))
    if ref.repeatable and downs:
        warnings.append(f"{ref.path}, line {downs[0].line}: the down block of a repeatable migration is never run.")
        downs = []
    return Migration(
        ref=ref,
        up=_script(text, ups, ref.path, variables),
        down=_script(text, downs, ref.path, variables) if downs else None,
        exact_hash=digest(data),
        depends=_depends(preface),
        description=prose(_DEPENDS.sub("", preface)),
        warnings=tuple(warnings),
    )


def _blocks(text: str, path: str, warnings: list[str]) -> list[_Block]:
    markers = list(_MARKER.finditer(text))
    _refuse_almost_markers(text, {marker.start() for marker in markers}, path)
    blocks = []
    for number, marker in enumerate(markers):
        line = text.count("\n", 0, marker.start()) + 1
        following = markers[number + 1].start() if number + 1 < len(markers) else len(text)
        direction: Literal["up", "down"] = "up" if marker[1] == "up" else "down"
        transaction = _transaction(marker[2] or "", f"{path}, line {line}", warnings)
        blocks.append(_Block(direction, transaction, marker.start(), min(marker.end() + 1, len(text)), following, line))
    return blocks


def _transaction(options: str, place: str, warnings: list[str]) -> bool:
    """What the words after a marker say about the surrounding transaction."""
    answer = True
    for word in options.split():
        key, colon, value = word.partition(":")
        if key == "transaction" and colon:
            if value not in ("true", "false"):
                raise SourceError(
                    f"{place}: transaction:{value} is not understood.",
                    code="broken_marker",
                    hint="Write transaction:true or transaction:false.",
                )
            answer = value == "true"
        else:
            warnings.append(f"{place}: `{word}` is no option of a marker and has no effect.")
    return answer


def _refuse_almost_markers(text: str, markers: set[int], path: str) -> None:
    for almost in _ALMOST.finditer(text):
        if almost.start() in markers:
            continue
        line = text.count("\n", 0, almost.start()) + 1
        raise SourceError(
            f"{path}, line {line}: `{almost[0].strip()}` looks like a marker but is none. Read as a comment, "
            "what follows it would belong to the block above.",
            code="broken_marker",
            hint="Write `-- migrate:up` or `-- migrate:down`, in lower case, beginning in the first column.",
            details={"path": path, "line": line},
        )


def _require_order(text: str, blocks: Sequence[_Block], path: str) -> None:
    if not any(block.direction == "up" for block in blocks):
        raise _no_up(text, path)
    if blocks[0].direction == "down":
        raise SourceError(
            f"{path}, line {blocks[0].line}: `-- migrate:down` stands before the first `-- migrate:up`.",
            code="broken_marker",
            hint="Write the up block first.",
            details={"path": path, "line": blocks[0].line},
        )
    first = skip(text[: blocks[0].marker])
    if first < blocks[0].marker:
        line = text.count("\n", 0, first) + 1
        raise SourceError(
            f"{path}, line {line}: something other than comments stands before `-- migrate:up`; it would not be run.",
            code="broken_marker",
            hint="Move it below the marker.",
            details={"path": path, "line": line},
        )
    for block, following in itertools.pairwise(blocks):
        if block.direction == following.direction == "down":
            raise SourceError(
                f"{path}, line {following.line}: a second `-- migrate:down` (the first is on line {block.line}) "
                "without a `-- migrate:up` between them.",
                code="broken_marker",
                hint="Join the two down blocks.",
                details={"path": path, "line": following.line},
            )


def _no_up(text: str, path: str) -> SourceError:
    tool = tool_of_text(text)
    if tool:
        return SourceError(
            f"{path} is written for {tool}, a format that Bascule does not read yet.",
            code="unsupported_format",
            hint="Move it out of this folder, or write `-- migrate:up` and `-- migrate:down` as its markers.",
            details={"path": path, "format": tool},
        )
    what = "is empty" if nothing_in(text) else "has no `-- migrate:up`"
    return SourceError(
        f"{path} {what}.",
        code="no_up",
        hint="Begin what is to be applied with a line `-- migrate:up`, or remove the file.",
        details={"path": path},
    )


def _several(ups: Sequence[_Block], downs: Sequence[_Block], path: str) -> str:
    lines = " and ".join(str(block.line) for block in ups)
    missing = "" if len(downs) == len(ups) else f"; only {len(downs)} of them with a down block" if downs else ""
    return (
        f"{path}: {len(ups)} `-- migrate:up` blocks, on lines {lines}{missing}. All of them are run, in this order, "
        "as one script; older releases of dbmate run the first one only."
    )


def _script(text: str, blocks: Sequence[_Block], path: str, variables: Mapping[str, str]) -> Script:
    """The blocks of one direction as one text in which each statement keeps its line."""
    parts = [text[blocks[0].start : blocks[0].end]]
    for previous, block in itertools.pairwise(blocks):
        # What lies between becomes empty lines; the semicolon ends a statement that its block left open.
        parts.append(";" + "\n" * text.count("\n", previous.end, block.start))
        parts.append(text[block.start : block.end])
    line = blocks[0].line + 1
    body = substitute("".join(parts), variables, path=path, line=line)
    return Script(
        text=body,
        path=path,
        line=line,
        transaction=all(block.transaction for block in blocks),
        empty=nothing_in(body),
    )


def _depends(preface: str) -> tuple[str, ...] | None:
    declared = [line[1] for line in _DEPENDS.finditer(preface)]
    if not declared:
        return None
    names = (name.strip() for line in declared for name in line.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _late_depends(text: str, start: int, path: str) -> list[str]:
    return [
        f"{path}, line {text.count(chr(10), 0, found.start()) + 1}: `{found[0].strip()}` has no effect below "
        "`-- migrate:up`; dependencies are declared above it."
        for found in _DEPENDS.finditer(text, start)
    ]
