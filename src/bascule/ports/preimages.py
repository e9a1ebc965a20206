"""What migrations destroy, kept by the target itself, in the transaction that destroys it.

How to implement one:

1. Capture and destruction are one transaction, and the capture holds the lock of the statement that destroys before it
   reads: what it copies is what is destroyed, to the last committed row.
2. Rows are found again by their primary key, or a unique key of columns that are NOT NULL. Where there is neither,
   nothing is kept, and the reason is.
3. Nobody but Bascule's own role reads what is kept, whatever privileges are given by default.
4. What is kept holds on to nothing: a type, a collation, a sequence of the application can be dropped all the same.
5. Values that somebody changed after the migration stay as they are; rows written since keep what they have.
6. `Job.preimages` is performed in the job's own transaction; a failure of it undoes the job. That values cannot be put
   back is not a failure: it is written down, and what is kept stays.
7. `PreImageWork.rows` looks at whole tables, up to `bascule.domain.rowlook.BOUND`, in the job's own transaction: in
   front of the first job and behind the last. What the migration wrote to without being looked at is listed too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bascule.domain.preimage import Assessed, Keep, PreImage
from bascule.domain.rowlook import RowLook


class PreImages(Protocol):
    """Looks at pre-images. They are made and put back by `Target.perform`."""

    def assess(self, keeps: Sequence[Keep]) -> Sequence[Assessed]:
        """What would come of these, one answer each. Changes nothing, needs nothing of Bascule's own to be there.
        Raises `WorkFailed`.
        """

    def kept(self, migration: str | None = None) -> Sequence[PreImage]:
        """What is kept of a migration, or of all, in the order in which it was; what was put back is listed until it
        expires.
        """

    def looks(self, migration: str) -> Sequence[RowLook]:
        """What was seen of the rows of the tables that a migration or its rollback wrote to. Empty where neither
        writes any, or nobody has looked.
        """

    def as_left(self, migration: str) -> frozenset[str]:
        """The tables that were looked at, as in `RowLook.table`, in which there is now exactly what the end of the
        last rollback of that migration left. Read anew; empty where nobody can tell.
        """

    def expire(self, seconds: float) -> int:
        """Throw away what is older. Answers how many copies went."""
