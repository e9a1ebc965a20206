"""What every reader of a folder does the same way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from bascule.domain.migration import Migration, MigrationRef
from bascule.sources.folder import Folder, scan
from bascule.sources.reading import digest_of


class FolderReader(ABC):
    """A `Source` over one folder. A format adds how to sort a listing (`survey`) and how to read one migration."""

    format: str = ""

    def __init__(self, folder: str, *, seen: Folder | None = None) -> None:
        """`seen`: a look at the folder just taken; the first listing uses it instead of looking again."""
        self.folder = folder
        self._seen = seen
        self._passed_over: tuple[str, ...] | None = None

    def listing(self) -> Sequence[MigrationRef]:
        """All migrations in the format's own order. Looks again each time. Raises `SourceError`."""
        folder, self._seen = self._seen or scan(self.folder), None
        refs, passed_over = self.survey(folder)
        self._passed_over = (*passed_over, *folder.aside)
        return refs

    def passed_over(self) -> Sequence[str]:
        """What the last listing did not take for a migration, with the reason. Raises `SourceError`."""
        if self._passed_over is None:
            self.listing()
        return self._passed_over or ()

    def fingerprint(self, ref: MigrationRef) -> str:
        """SHA-256 (hex) over the up file's bytes. Raises `SourceError`."""
        return digest_of(ref.path)

    @abstractmethod
    def survey(self, folder: Folder) -> tuple[tuple[MigrationRef, ...], list[str]]:
        """The migrations in a folder, in order, and what was passed over. Raises `SourceError`."""

    @abstractmethod
    def read(self, ref: MigrationRef) -> Migration:
        """One migration with its scripts. Raises `SourceError`."""
