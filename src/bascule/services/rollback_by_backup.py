"""Go back by restoring a backup instead of running down scripts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bascule.domain.backup import Manifest
from bascule.domain.event import Event
from bascule.domain.history import Fact, LedgerEntry
from bascule.domain.plan import PlannedMigration
from bascule.domain.run import Run
from bascule.errors import BasculeError, Refused
from bascule.ports.database import Job, Lease, LedgerChange
from bascule.ports.dump import Guard, words_of
from bascule.services.backup_create import CreateRequest, create
from bascule.services.backup_restore import accept_newer, opened, put_back, until_words
from bascule.services.backups import means, path_of
from bascule.services.context import Context
from bascule.services.environment import guard_environment, guard_rollback, note_reason, protected
from bascule.services.failures import unplanned
from bascule.services.leasing import leased
from bascule.services.report import Report
from bascule.services.requests import RollbackRequest
from bascule.services.runs import RunNames
from bascule.services.situation import Situation
from bascule.services.trying import Attempts
from bascule.services.undo import judged, judged_after_restore


def rollback_by_backup(
    context: Context,
    request: RollbackRequest,
    situation: Situation,
    entries: Sequence[LedgerEntry],
    plans: Sequence[PlannedMigration],
) -> Report:
    """Put the backup's tables back and take the migrations off the ledger, in one transaction: killed at any moment,
    both have happened or neither has. Raises as `bascule.services.backup_restore.restore`, and
    `Refused` (``backup_too_late``) for a backup that was taken after one of them was applied.
    """
    assert request.backup is not None, "the caller looked"
    backups = means(context)
    manifest = opened(context, backups, request.backup, foreign=False)
    context.say(until_words(manifest))
    names = [each.name for each in plans]
    _leads_behind(manifest, situation, entries)
    path = path_of(backups.store, manifest.id)
    if request.dry_run:
        return Report(success=True, message=f"Would restore {path} and take {', '.join(names)} off the ledger.")
    guard_environment(context)
    guard_rollback(context, request)
    context.target.prepare()
    with leased(context, f"rollback of {', '.join(names)} by backup {manifest.id}") as lease:
        assert lease is not None, "without `needless` the lease is had or an error raised"
        accepted = request.accept_data_loss or (request.yes and not protected(context))
        texts = (script.text for each in plans for script in (each.migration.up, each.migration.down) if script)
        words = words_of(*texts)
        goes, guard = accept_newer(context, backups, manifest, None, accepted=accepted, words=words)
        if goes and request.make_backup:
            kept = create(
                context, CreateRequest(tables=_there(context, manifest), why=f"before restoring {manifest.id}")
            )
            context.say(f"What is there now was backed up first: {kept.path}.")
        note_reason(context, "rollback", names, request.reason)
        runs = _undone(context, lease, manifest, path, plans, guard)
    message = f"Restored {path}: {', '.join(names)} rolled back."
    return Report(success=True, message=message, runs=tuple(runs), details={"losses": list(goes)} if goes else {})


def _leads_behind(manifest: Manifest, situation: Situation, entries: Sequence[LedgerEntry]) -> None:
    """The ledger must say of the restored tables what is true of them."""
    late = [entry.name for entry in entries if entry.applied_at < manifest.until]
    if late:
        raise Refused(
            f"The backup {manifest.id} was taken after {', '.join(late)} had been applied, so it does not lead back "
            "behind that. Nothing was touched.",
            code="backup_too_late",
            hint="`bascule backup list` shows which backup was taken for which migration.",
        )
    chosen = {entry.name for entry in entries}
    others = [
        entry.name
        for entry in situation.applied
        if entry.applied_at > manifest.until and entry.name not in chosen and not entry.repeatable
    ]
    if others:
        raise Refused(
            f"The backup {manifest.id} leads back behind {', '.join(others)} too, which would stay on the ledger. "
            "Nothing was touched.",
            code="backup_too_early",
            hint="Roll those back with it (--steps, --to), or restore the tables alone with bascule backup restore.",
        )


def _there(context: Context, manifest: Manifest) -> tuple[str, ...] | None:
    """The tables of the backup that there are."""
    if manifest.scope == "database":
        return None
    dumper, found = means(context).dumper, []
    for table in manifest.tables:
        try:
            dumper.sizes([table])
        except Refused as error:
            if error.code != "no_such_table":
                raise
        else:
            found.append(table)
    return tuple(found)


def _undone(
    context: Context,
    lease: Lease,
    manifest: Manifest,
    path: str,
    plans: Sequence[PlannedMigration],
    guard: Guard,
) -> list[Run]:
    names, runs = RunNames(context.clock, given=context.run_ids), []
    backups = means(context)
    ids = {each.name: names.mint(each.name) for each in plans}
    for each in plans:
        _publish(context, "migration.rollback_started", ids[each.name], each.name)
    begun = context.clock.now()
    looks = {each.name: context.target.before(each.name) for each in plans}
    try:
        restored = put_back(context, backups, manifest, None, guard=guard, undoes=[each.name for each in plans])
    except BasculeError as error:
        for each in plans:
            _publish(context, "migration.rollback_failed", ids[each.name], each.name, error=error.message)
        raise
    for each in plans:
        off_the_ledger(context, lease, each.name, ids[each.name], manifest)
        # The way back was the backup, whatever the down script says.
        reading = dataclasses.replace(each.migration, down=each.migration.up)
        undone = dataclasses.replace(each, migration=reading)
        look, run_id = looks[each.name], ids[each.name]
        mends: tuple[str, ...] = ()
        if each is plans[-1]:
            reached, differences, mends = judged_after_restore(context, lease, undone, run_id, look, restored.kept)
        else:
            # What its look has more than the oldest one's, older migrations had made, which are undone too.
            reached, differences = judged(context, undone, run_id, look, None, mended=True, kept=restored.kept)
        _publish(
            context,
            "migration.rollback_completed",
            ids[each.name],
            each.name,
            verdict=reached,
            executionTime=round(restored.seconds * 1000),
        )
        runs.append(
            Run(
                id=ids[each.name],
                name=each.name,
                timestamp=begun,
                execution_ms=round(restored.seconds * 1000),
                status="rolled_back",
                direction="down",
                dependencies=each.migration.depends or (),
                verdict=reached,
                differences=differences,
                notes=(f"restored from the backup {manifest.id}", *restored.notes, *mends),
                backup_path=path,
            )
        )
    return runs


def off_the_ledger(context: Context, lease: Lease, name: str, run_id: str, manifest: Manifest) -> None:
    """A migration is not applied any more, nor half done: the backup's tables are back."""
    fact = Fact(
        kind="rolled_back", run_id=run_id, migration=name, direction="down", data={"notes": [f"backup {manifest.id}"]}
    )
    job = Job(
        run_id=run_id,
        migration=name,
        direction="down",
        ledger=LedgerChange(remove=name),
        clear_marks=True,
        forget_before=True,
        facts=(fact,),
    )
    with unplanned(name):
        Attempts(context=context, lease=lease, tell=lambda words, blockers: None).perform(
            job, watch=None, meanwhile=None
        )


def _publish(context: Context, name: str, run_id: str, migration: str, **data: object) -> None:
    context.publish(Event(name=name, run_id=run_id, migration=migration, at=context.clock.now(), data=data))
