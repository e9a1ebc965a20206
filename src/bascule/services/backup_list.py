"""The backups in the store, and what is known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bascule.backups.catalog import list_backups
from bascule.backups.naming import begun_at
from bascule.domain.backup import BackupEntry
from bascule.services.backups import Line, known_backups, line_of, means, path_of, target_identity

if TYPE_CHECKING:
    from bascule.services.context import Context


def list_all(context: Context) -> tuple[Line, ...]:
    """All of them, old to new; one that cannot be read is among them, with its problem. Writes nothing.

    Raises MigrationFailed (``backup_store``).
    """
    backups = means(context)
    known, identity = known_backups(context), target_identity(context)
    lines = []
    for each in list_backups(backups.store):
        if each.manifest is not None:
            lines.append(line_of(backups, each.manifest, known.get(each.id), identity))
            continue
        begun = begun_at(each.id)
        entry = BackupEntry(
            id=each.id, created_at=begun, until=begun, target="", scope="database", size_bytes=each.size_bytes
        )
        problem = each.problem.message if each.problem else "it cannot be read"
        path = path_of(backups.store, each.id)
        lines.append(Line(entry=entry, path=path, known=known.get(each.id), own=each.id in known, problem=problem))
    # Ids tell seconds only: those of one second stand in any order in the store.
    return tuple(sorted(lines, key=lambda line: (line.entry.until, line.entry.id)))
