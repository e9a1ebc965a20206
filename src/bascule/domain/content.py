"""What a table's rows hold, told by digests that can be compared with those of another moment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The rows of one table at one moment."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Digest by column; under the empty name that of whole rows, where the table has no key."""
    key: tuple[str, ...] = ()
    """The columns that tell rows apart, with which every value is digested."""
    why: str = ""
    """Why nothing was digested."""

    @property
    def digest(self) -> str:
        """One for all columns."""
        listed = "\n".join(f"{name!r} {digest}" for name, digest in sorted(self.columns.items()))
        return hashlib.blake2b(listed.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def compared(before: Content | None, after: Content | None) -> dict[str, Any]:
    """What a run's report says of a table's content; None: the table is not there at that moment."""
    if before is None and after is None:
        return {}
    why = next((each.why for each in (before, after) if each is not None and each.why), "")
    if not why and before is not None and after is not None and before.key != after.key:
        why = "its primary key is another one now, and digests are seeded with it"
    if why:
        return {"digestsNotTaken": why}
    then, now = (each.columns if each is not None else {} for each in (before, after))
    changed = [name for name in dict.fromkeys((*then, *now)) if name and then.get(name) != now.get(name)]
    return {
        "digests": {
            "before": before.digest if before is not None else None,
            "after": after.digest if after is not None else None,
            "changedColumns": changed,
        }
    }
