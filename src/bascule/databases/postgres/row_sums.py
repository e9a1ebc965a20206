"""Whether two streams of COPY's text hold the same rows, in whatever order.

Rows are hashed one by one and the hashes are added up. Both streams are summed by one process, so Python's own hash
will do, which is made in C and keyed anew for each process: 10 million rows take a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class RowSum:
    """The rows of a stream, or of several: sums can be added. With `columns`, one more sum for each of so many."""

    __slots__ = ("_rest", "by_column", "rows", "total")

    def __init__(self, columns: int = 0) -> None:
        self.rows = 0
        self.total = 0
        self.by_column = [0] * columns
        self._rest = b""

    def add(self, piece: bytes) -> None:
        """The next bytes of the stream. In COPY's text every row ends in a line feed, and no value holds one."""
        lines = piece.split(b"\n")
        lines[0] = self._rest + lines[0]
        self._rest = lines.pop()
        self.rows += len(lines)
        self.total += sum(map(hash, lines))
        if self.by_column:
            for line in lines:
                for number, value in enumerate(line.split(b"\t")):
                    self.by_column[number] += hash(value)

    def through(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces, summed on their way."""
        for piece in pieces:
            self.add(piece)
            yield piece

    def join(self, other: RowSum) -> None:
        """Another stream's rows too."""
        self.rows += other.rows
        self.total += other.total
        self.by_column = [mine + its for mine, its in zip(self.by_column, other.by_column, strict=True)]

    def same_as(self, other: RowSum) -> bool:
        """They hold the same rows."""
        return (self.rows, self.total) == (other.rows, other.total)
