"""Several small tables in one stream: what a file, its name and its way to the disk cost is paid once for all of them.

The rows of one table follow those of the other without anything between; where each begins and ends stands in the
manifest, with a hash of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator

from bascule.domain.backup import Member
from bascule.errors import Refused


class Cutter:
    """The stream of a bundle, from which its tables are taken, each after those that lie before it."""

    def __init__(self, pieces: Generator[bytes, None, None], *, path: str) -> None:
        self._pieces, self._path = pieces, path
        self._held = memoryview(b"")
        self.position = 0
        """Bytes of the stream that were taken or passed over."""

    def rows_of(self, member: Member) -> Generator[bytes, None, None]:
        """Its rows, in pieces; hashed on the way, and the error comes after the last of them.

        The stream must not be farther than the member. Raises `Refused` (``backup_damaged``) and as the stream.
        """
        assert self.position <= member.offset, "a stream is read forwards"
        for _ in self._next(member.offset - self.position):
            pass
        found = hashlib.sha256()
        for piece in self._next(member.plain_bytes):
            found.update(piece)
            yield piece
        if found.hexdigest() != member.plain_sha256:
            raise Refused(
                f"{member.table} in the backup's {self._path} is not what it was when the backup was taken.",
                code="backup_damaged",
                hint="Nothing of it can be trusted. Use another backup.",
            )

    def close(self) -> None:
        """Read no further."""
        self._pieces.close()

    def _next(self, count: int) -> Iterator[bytes]:
        while count:
            if not self._held:
                self._held = memoryview(next(self._pieces, b"") or self._past_empty())
            taken = self._held[:count]
            self._held = self._held[len(taken) :]
            self.position += len(taken)
            count -= len(taken)
            yield bytes(taken)

    def _past_empty(self) -> bytes:
        """A decompressor may have nothing to give yet; a stream that has ended is another matter."""
        for piece in self._pieces:
            if piece:
                return piece
        raise Refused(
            f"The backup's {self._path} ends before the tables that it holds do.",
            code="backup_truncated",
            hint="Use another backup.",
        )
