"""The directive ``-- bascule: no-preimage REASON`` above a statement: what it destroys is to be kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bascule.domain.statement import Statement

_NO_PREIMAGE = re.compile(r"^[ \t]*--[ \t]*bascule:[ \t]*no-preimage\b[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_NO_REASON = "its author wants nothing kept"

Declined = Mapping[int, str]
"""By the index of a statement in its script: why its author wants nothing kept."""


def declined_in(text: str, statements: Sequence[Statement]) -> Declined:
    """Directives between a statement and the one before it."""
    if "no-preimage" not in text.lower():
        return {}
    ends = [0, *(each.offset + len(each.text) for each in statements)]
    found: dict[int, str] = {}
    for begin, statement in zip(ends, statements, strict=False):
        if (said := _NO_PREIMAGE.search(text, begin, max(begin, statement.offset))) is not None:
            found[statement.index] = said[1] or _NO_REASON
    return found
