"""Put a backup back, after saying which newer rows go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bascule.backups.manifest import check_target, read_manifest
from bascule.domain.backup import Manifest, TableDigest, missing_words
from bascule.domain.run import iso
from bascule.errors import Refused
from bascule.ports.dump import Guard, Restored
from bascule.services.backups import Backups, known_backups, means, named, note, path_of, target_identity, watching
from bascule.services.environment import guard_change, guard_environment, note_reason, protected
from bascule.services.leasing import leased
from bascule.services.situation import look

if TYPE_CHECKING:
    from bascule.services.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """Which backup, and where to."""

    backup: str
    """Its id, or its path in the store."""
    tables: tuple[str, ...] = ()
    """Empty: all that are in it."""
    to: str | None = None
    """Address or name of a new database; None: in place."""
    foreign: bool = False
    """A backup of another target, or one that this target's journal does not know, is meant."""
    yes: bool = False
    reason: str | None = None
    """Why tables of a protected target may be replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What a restore did."""

    id: str
    path: str
    until: str
    restored: Restored
    goes: tuple[str, ...]
    """What was newer and went, in words."""
    ahead: tuple[str, ...]
    """Migrations that the ledger has and that came after the backup's moment."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "id": self.id,
            "backupPath": self.path,
            "until": self.until,
            "place": self.restored.place,
            "rows": dict(self.restored.rows),
            "seconds": round(self.restored.seconds, 3),
            "replaced": list(self.goes),
            "appliedSince": list(self.ahead),
            "notes": list(self.restored.notes),
        }


def restore(context: Context, request: RestoreRequest) -> RestoreReport:
    """Replace exactly the tables that are in it (or those named), all at once or not at all.

    Raises:
        Refused: it is damaged, exchanged, of another target, of a newer format, encrypted to another key; or newer rows
            would go and that was not accepted (``newer_rows``). Nothing was touched.
        MigrationFailed, LockNotAvailable, Interrupted: nothing was changed.
    """
    backups = means(context)
    guard_environment(context)
    manifest = opened(context, backups, request.backup, foreign=request.foreign, elsewhere=request.to is not None)
    context.say(until_words(manifest))
    if request.to is not None:
        return _elsewhere(context, backups, manifest, request)
    guard_change(context, "a restore", request.reason)
    context.target.prepare()
    with leased(context, f"restore of {manifest.id}") as lease:
        assert lease is not None, "without `needless` the lease is had or an error raised"
        tables = request.tables or None
        goes, guard = accept_newer(context, backups, manifest, tables, accepted=request.yes)
        note_reason(context, f"restore of {manifest.id}", (), request.reason)
        restored = put_back(context, backups, manifest, tables, guard=guard)
    ahead = tuple(each.name for each in look(context).applied if each.applied_at > manifest.until)
    return _report(backups, manifest, restored, goes, ahead)


def opened(context: Context, backups: Backups, given: str, *, foreign: bool, elsewhere: bool = False) -> Manifest:
    """The manifest of a backup that may be restored here. Raises `Refused`."""
    backup_id = named(backups, given)
    known = known_backups(context).get(backup_id)
    manifest = read_manifest(
        backups.store, backup_id, expected_digest=known.digest if known else None, encryption=backups.encryption
    )
    check_target(manifest, target_identity(context), foreign=foreign or elsewhere)
    if known is None and not foreign:
        raise Refused(
            f"The journal of this target does not know the backup {backup_id}, so nobody can tell whether it was "
            "rewritten. Nothing was touched.",
            code="backup_unknown",
            hint="If you know where it comes from, say --foreign.",
        )
    if known is None or known.verified_at is None:
        context.say(f"Warning: the backup {backup_id} is unverified: it was never restored to be compared.")
    elif known.failed is not None:
        context.say(f"Warning: the last verification of the backup {backup_id} failed: {known.failed}")
    return manifest


def until_words(manifest: Manifest) -> str:
    """The sentence before every restore."""
    missing = "".join(f" {words}." for words in missing_words(manifest))
    return (
        f"The backup {manifest.id} holds what was committed up to {manifest.until:%Y-%m-%d %H:%M:%S} UTC; "
        f"what was written later is not in it.{missing}"
    )


def accept_newer(
    context: Context,
    backups: Backups,
    manifest: Manifest,
    tables: Sequence[str] | None,
    *,
    accepted: bool,
    words: frozenset[str] | None = None,
) -> tuple[tuple[str, ...], Guard]:
    """Say what the restore replaces that is newer than the backup, rows and all else, and have it accepted; answer that
    with what the restore itself has to see to. `words`: of the scripts that are undone, where what others have made on
    the tables is to be kept. Raises `Refused` (``newer_rows``).
    """
    now = _now(backups, manifest, tables)
    rows = _newer(backups, manifest, now)
    made = backups.dumper.made_since(backups.stored(manifest), tables=tables, words=words)
    goes = (*rows, *made)
    for each in goes:
        context.say(f"Will be replaced: {each}")
    # What was not said must not go: neither rows nor objects that come in between.
    if words is None and not made:
        words = frozenset()
    guard = Guard(rows=None if rows else now, words=words, goes=frozenset(made), ahead=bool(words))
    if not goes or accepted:
        return goes, guard
    if context.confirm is not None and not protected(context):
        if context.confirm("Go on?"):
            return goes, guard
        raise Refused("Not restored: that newer rows go was not accepted.", code="newer_rows")
    raise Refused(
        "The tables have changed since the backup was taken, and the restore would throw that away:\n"
        + "\n".join(f"  {words}" for words in goes),
        code="newer_rows",
        hint="If that is meant, say --yes. To look first, restore to another database with --to.",
        details={"newer": list(goes)},
    )


def put_back(
    context: Context,
    backups: Backups,
    manifest: Manifest,
    tables: Sequence[str] | None,
    *,
    guard: Guard | None = None,
    undoes: Sequence[str] = (),
) -> Restored:
    """Restore in place, with facts around it. `undoes`: migrations that leave the ledger in the same transaction.
    Raises as the dumper.
    """
    data: dict[str, Any] = {"tables": list(tables or manifest.tables), "actor": context.owner}
    if undoes:
        data["undoes"] = list(undoes)
    note(context, "restore_started", id=manifest.id, **data)
    then = tuple(statement for name in undoes for statement in context.target.leaving(name))
    guard = replace(guard or Guard(), then=then)
    restored = backups.dumper.restore(
        backups.stored(manifest),
        tables=tables,
        guard=guard,
        watch=watching(context),
    )
    note(context, "restored", id=manifest.id, rows=dict(restored.rows), seconds=round(restored.seconds, 3))
    return restored


def _elsewhere(context: Context, backups: Backups, manifest: Manifest, request: RestoreRequest) -> RestoreReport:
    assert request.to is not None, "the caller looked"
    if request.tables:
        raise Refused(
            "To another database goes the whole backup.",
            code="restore_whole",
            hint="Leave --table out, or leave --to out.",
        )
    dumper, name = backups.elsewhere(request.to)
    try:
        restored = dumper.restore_to(backups.stored(manifest), name, watch=watching(context))
    finally:
        dumper.close()
    return _report(backups, manifest, restored, (), ())


def _report(
    backups: Backups, manifest: Manifest, restored: Restored, goes: tuple[str, ...], ahead: tuple[str, ...]
) -> RestoreReport:
    return RestoreReport(
        id=manifest.id,
        path=path_of(backups.store, manifest.id),
        until=iso(manifest.until),
        restored=replace(restored, notes=(*missing_words(manifest), *restored.notes)),
        goes=goes,
        ahead=ahead,
    )


def _newer(backups: Backups, manifest: Manifest, now: Mapping[str, TableDigest]) -> list[str]:
    before = _before(backups, manifest, now)
    words = []
    for table, digest in now.items():
        then = before.get(table)
        if then is None:
            words.append(f"{table}, {digest.rows} rows now; the backup has no digest of it to compare with")
        elif then != digest:
            words.append(f"{table}, {_changed(then, digest)}")
    return words


def _before(backups: Backups, manifest: Manifest, now: Mapping[str, TableDigest]) -> Mapping[str, TableDigest]:
    """What the backup holds, as far as it has to be known: where the rows' numbers differ already, that says it."""
    then = manifest.digests
    same = [name for name, digest in now.items() if name in then and then[name].rows == digest.rows]
    if backups.dumper.proves_by_bytes and any(now[name].columns and not then[name].columns for name in same):
        return backups.dumper.digests_of(backups.stored(manifest), tables=same)
    return then


def _changed(then: TableDigest, now: TableDigest) -> str:
    if then.rows != now.rows:
        return f"{now.rows} rows now, {then.rows} in the backup"
    columns = sorted(set(then.columns) ^ set(now.columns))
    changed = [name for name, digest in then.columns.items() if now.columns.get(name, digest) != digest]
    words = [f"with other columns ({', '.join(columns)})"] if columns else []
    words += [f"with other values in {', '.join(changed[:5])}"] if changed else []
    return f"{now.rows} rows now and then, {' and '.join(words)}"


def _now(backups: Backups, manifest: Manifest, tables: Sequence[str] | None) -> Mapping[str, TableDigest]:
    """The tables of the backup that are there, as they are now."""
    wanted = _of_backup(manifest, tables)
    if manifest.scope == "database" and tables is None:
        return {name: digest for name, digest in backups.dumper.digests(None).items() if name in wanted}
    found: dict[str, TableDigest] = {}
    for name in sorted(wanted):
        try:
            found |= {each: digest for each, digest in backups.dumper.digests([name]).items() if each in wanted}
        except Refused as error:
            if error.code != "no_such_table":
                raise
    return found


def _of_backup(manifest: Manifest, tables: Sequence[str] | None) -> set[str]:
    """The backup's names of tables that a person names; what fits none is the dumper's to refuse."""
    if tables is None:
        return set(manifest.tables)
    found = set()
    for name in tables:
        plain = name.removeprefix("main.").strip('"').lower()
        found |= {
            each for each in manifest.tables if each == name or each.endswith(f".{name}") or each.lower() == plain
        }
    return found
