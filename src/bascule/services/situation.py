"""Where things stand: what the folder lists, what the ledger has, what is under way, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bascule.domain.history import LedgerEntry
from bascule.domain.migration import Migration, MigrationRef
from bascule.domain.statement import Dialect
from bascule.errors import Refused
from bascule.ports.source import Source
from bascule.services.context import Context

GONE = "gone"
"""`LedgerEntry.how` of an applied migration whose missing file a person has accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """An applied migration whose file says something else now."""

    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One look at folder and target."""

    refs: Sequence[MigrationRef]
    applied: Sequence[LedgerEntry]
    marks: Mapping[tuple[str, str], Mapping[int, tuple[str, str]]]

    @property
    def by_name(self) -> dict[str, MigrationRef]:
        """The folder's migrations by name."""
        return {ref.name: ref for ref in self.refs}

    @property
    def ledger(self) -> dict[str, LedgerEntry]:
        """The ledger's entries by name."""
        return {entry.name: entry for entry in self.applied}

    def pending(self) -> list[MigrationRef]:
        """Versioned migrations that the ledger does not have, in the folder's order."""
        applied = {entry.name for entry in self.applied}
        return [ref for ref in self.refs if not ref.repeatable and ref.name not in applied]

    def missing(self) -> list[str]:
        """Applied migrations whose file is gone, unless a person accepted that."""
        listed = {ref.name for ref in self.refs}
        return [entry.name for entry in self.applied if entry.name not in listed and entry.how != GONE]


def look(context: Context, refs: Sequence[MigrationRef] | None = None) -> Situation:
    """Read the folder (unless `refs` of this very command are given) and the target."""
    return Situation(
        refs=context.source.listing() if refs is None else refs,
        applied=context.target.ledger(),
        marks=context.target.marks(),
    )


def edited(source: Source, dialect: Dialect, situation: Situation, fingerprints: Mapping[str, str]) -> list[Edited]:
    """Applied migrations whose meaning changed. `fingerprints`: exact hashes by name, for those that were looked at."""
    listed = situation.by_name
    found = []
    for entry in situation.applied:
        exact = fingerprints.get(entry.name)
        if exact is None or exact == entry.exact_hash or entry.repeatable or not entry.exact_hash:
            continue
        if not _means_the_same(source.read(listed[entry.name]), entry, dialect):
            found.append(Edited(name=entry.name, path=listed[entry.name].path))
    return found


def _means_the_same(migration: Migration, entry: LedgerEntry, dialect: Dialect) -> bool:
    from bascule.planning.meaning import meaning, parser_of

    if entry.parser != parser_of(migration.up):
        # Hashes made by another version of the lexer say nothing about this text. The exact one differs: refuse.
        return False
    return meaning(migration.up, dialect) == entry.semantic_hash


def look_at_files(source: Source, situation: Situation) -> dict[str, str]:
    """Exact hashes of all applied migrations' files as they are on disk now."""
    applied = {entry.name for entry in situation.applied if not entry.repeatable}
    return {ref.name: source.fingerprint(ref) for ref in situation.refs if ref.name in applied}


def check_applied(context: Context, situation: Situation) -> None:
    """Refuse to go on where the past was rewritten.

    Raises:
        Refused: code ``missing_file`` or ``edited``; for an edited one the details hold a diff of meaning.
    """
    gone = situation.missing()
    if gone:
        names = ", ".join(gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
        raise Refused(
            f"Applied, but no longer in {context.source.folder}: {names}.",
            code="missing_file",
            hint="Bring the file back from version control. If it is gone for good: "
            f"bascule accept {gone[0]} --reason '…'. If it was never applied: bascule mark {gone[0]} --pending.",
            details={"missing": gone},
        )
    changed = edited(context.source, context.target.dialect, situation, look_at_files(context.source, situation))
    if changed:
        raise Refused(
            _edited_message(context, changed),
            code="edited",
            hint="Put the file back and write a new migration for the change. If the change is harmless: "
            f"bascule accept {changed[0].name} --reason '…'.",
            details={"edited": [each.name for each in changed]},
        )


def _edited_message(context: Context, changed: Sequence[Edited]) -> str:
    parts = []
    for each in changed[:3]:
        parts.append(f"{each.path} was changed after it was applied:")
        parts.extend(f"    {line}" for line in difference_of(context, each.name))
    if len(changed) > 3:
        parts.append(f"and {len(changed) - 3} more")
    return "\n".join(parts)


def difference_of(context: Context, name: str, *, lines: int = 40) -> list[str]:
    """What an applied migration's file says differently from what ran, without comments and layout."""
    from bascule.planning.meaning import difference

    old = context.target.script(name)
    if old is None:
        return ["(what ran was not kept, so the difference cannot be shown)"]
    ref = next(ref for ref in context.source.listing() if ref.name == name)
    new = context.source.read(ref).up
    # What was kept holds the names of secret variables, not their values.
    shown = replace(new, text=context.conceal(new.text))
    found = difference(context.conceal(old), shown, context.target.dialect)
    if not any(line.startswith(("+", "-")) for line in found) and new.text != shown.text:
        return ["(the value of a variable that is not shown)"]
    return [*found[:lines], *(["…"] if len(found) > lines else [])]
