"""Names as an issue tells them."""

from __future__ import annotations

from collections.abc import Sequence

_TOLD = 3


def listed(names: Sequence[str], word: str, many: str = "") -> str:
    """``one``, ``one and two``, ``one, two, three and 5 more migrations``."""
    if len(names) > _TOLD:
        return f"{', '.join(names[:_TOLD])} and {len(names) - _TOLD} more {many or word + 's'}"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
