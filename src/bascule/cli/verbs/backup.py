"""`bascule backup` and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bascule.cli.call import Call
from bascule.cli.options import CONTEXT, Explained, VerbCommand, global_options, lock_wait, verb, yes_production
from bascule.cli.session import changing, reading
from bascule.cli.words import duration, moment, plural, table

if TYPE_CHECKING:
    from bascule.services.backup_verify import Proof
    from bascule.services.backups import Line

_FOUND = 3


class Backups(Explained, click.Group):
    """The verbs of backups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its verbs first."""
        self.format_commands(ctx, formatter)
        VerbCommand.format_options(self, ctx, formatter)  # type: ignore[arg-type]


@verb("create")
@click.option("--table", "tables", multiple=True, metavar="T", help="Only this table; may be given several times.")
@click.option("--plan", is_flag=True, help="Only what the pending migrations can destroy.")
def create_command(call: Call, tables: tuple[str, ...], plan: bool) -> None:
    """Take a backup of the whole database, of some tables, or of what the pending plan touches, and prove it."""
    if tables and plan:
        raise click.UsageError("--table and --plan exclude each other", click.get_current_context())
    from bascule.services.backup_create import CreateRequest, create
    from bascule.services.backups import UNTIL, sized

    with changing(call, progress=False) as context:
        request = CreateRequest(tables=tables or None)
        if plan:
            from bascule.services.backup_plan import planned_scope

            scope = planned_scope(context)
            if scope is None:
                words = "Nothing to back up: what is pending destroys nothing that is stored."
                call.output.text(words)
                call.output.document({"id": None, "backupPath": None, "message": words})
                return
            request = scope
        line = create(context, request)
    for words in line.as_dict().get("notes", ()):
        call.output.note(words)
    call.output.text(f"{line.entry.id}  {_scope(line)}  {sized(line.entry.size_bytes)}  {_proved(line)}")
    call.output.text(f"Backup {line.path}, of {moment(line.entry.until)} UTC. {UNTIL}")
    call.output.document(line.as_dict())


@verb("list")
def list_command(call: Call) -> None:
    """Show all backups: what is in each, up to which moment, and whether it was proved."""
    from bascule.services.backup_list import list_all
    from bascule.services.backups import UNTIL, sized

    with reading(call) as context:
        lines = list_all(context)
    rows = [
        (
            each.entry.id,
            f"until {moment(each.entry.until)}",
            sized(each.entry.size_bytes),
            _proved(each),
            call.output.clean(_what(each)),
        )
        for each in lines
    ]
    for row in table(rows, indent=""):
        call.output.text(row)
    call.output.text(UNTIL if lines else "There are no backups.")
    call.output.document([each.as_dict() for each in lines])


@verb("verify")
@click.argument("backup", required=False, metavar="[ID]")
@click.option(
    "--mode",
    type=click.Choice(["full", "sampled", "hashes"]),
    help="Restore all of it, some of its tables, or only compare hashes; the setting backup.verify decides otherwise.",
)
def verify_command(call: Call, backup: str | None, mode: Any) -> int:
    """Prove a backup, or all: restore it to scratch, compare, and throw that away."""
    from bascule.services.backup_verify import verify

    with changing(call, progress=False) as context:
        proofs = verify(context, backup, mode=mode)
    if backup is not None and proofs[0].error is not None:
        raise proofs[0].error
    for each in proofs:
        _tell(call, each)
    unread = sum(each.unread for each in proofs)
    bad = sum(not each.good for each in proofs) - unread
    found = [f"{bad} not good"] * bool(bad) + [f"{unread} not read"] * bool(unread)
    message = ", ".join((f"{plural(len(proofs), 'backup')} looked at", *found)) + "."
    call.output.text(message if proofs else "There are no backups.")
    call.output.document({"success": not found, "message": message, "data": [each.as_dict() for each in proofs]})
    return _FOUND if found else 0


@lock_wait
@verb("restore")
@click.argument("backup", metavar="ID")
@click.option("--table", "tables", multiple=True, metavar="T", help="Only this table; may be given several times.")
@click.option("--to", metavar="URL", help="Make this database of it instead: an address, or a name beside the target.")
@click.option("--foreign", is_flag=True, help="A backup of another target, or an unknown one, is meant.")
@yes_production("Replace tables of production, for this reason")
def restore_command(
    call: Call,
    backup: str,
    tables: tuple[str, ...],
    to: str | None,
    foreign: bool,
    yes_production: str | None,
) -> None:
    """Replace exactly the tables in a backup, after saying which newer rows go; --yes accepts that."""
    from bascule.services.backup_restore import RestoreRequest, restore

    request = RestoreRequest(backup=backup, tables=tables, to=to, foreign=foreign, yes=call.yes, reason=yes_production)
    with changing(call, progress=False) as context:
        report = restore(context, request)
    rows = report.restored.rows
    for words in report.restored.notes:
        call.output.note(words)
    if report.ahead:
        call.output.warn(
            f"The ledger is as it was, and says that {', '.join(report.ahead)} ran after the backup was taken. If what "
            "they did is undone by the restore, record that: bascule mark NAME --pending."
        )
    place = call.output.clean(report.restored.place)
    call.output.text(
        f"Restored {plural(len(rows), 'table')}, {plural(sum(rows.values()), 'row')}, to {place} "
        f"in {duration(report.restored.seconds)}."
    )
    call.output.document({"success": True, "message": f"Restored {report.id}.", "data": report.as_dict()})


@verb("prune")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def prune_command(call: Call, dry_run: bool) -> None:
    """Remove backups and pre-images by the rules of the settings, and what dead processes left."""
    from bascule.services.backup_prune import prune
    from bascule.services.backups import sized

    with changing(call, progress=False) as context:
        pruned = prune(context, dry_run=dry_run)
    verb_ = "would go" if dry_run else "removed"
    for each in pruned.removed:
        call.output.text(f"{each.entry.id}  {verb_}: {each.reason}")
    for each in pruned.kept:
        call.output.text(f"{each.entry.id}  stays: {each.reason}")
    for path in pruned.leftovers:
        call.output.text(f"{path}  {verb_}: left by a process that died")
    if pruned.preimages:
        call.output.text(f"{plural(pruned.preimages, 'pre-image')} {verb_}: kept longer than the retention")
    call.output.text(
        f"{plural(len(pruned.removed), 'backup')} {verb_}, {len(pruned.kept)} stay; {sized(pruned.freed)}."
    )
    call.output.document({"success": True, "data": pruned.as_dict()})


@verb("export")
@click.argument("backup", metavar="ID")
@click.option("-o", "--out", metavar="FILE", help="Write a new file of mode 0600 instead of stdout.")
def export_command(call: Call, backup: str, out: str | None) -> None:
    """Write a plain dump that psql or sqlite3 restores without Bascule."""
    if out is None and call.output.json:
        raise click.UsageError("--json needs --out: the dump itself goes to stdout", click.get_current_context())
    from bascule.services.backup_export import export

    with reading(call) as context:
        if out is None:
            import sys

            export(context, backup, sys.stdout.buffer.write)
            sys.stdout.buffer.flush()
            return
        size = _to_file(out, lambda write: export(context, backup, write))
    call.output.text(f"Wrote {out}.")
    call.output.document({"success": True, "data": {"path": out, "size": size}})


@verb("drill")
@click.argument("backup", required=False, metavar="[ID]")
def drill_command(call: Call, backup: str | None) -> int:
    """Rehearse the emergency: restore the newest backup to scratch, compare, and keep the measured time."""
    from bascule.services.backup_drill import drill

    with changing(call, progress=False) as context:
        done = drill(context, backup)
    if done.proof.error is not None:
        raise done.proof.error
    _tell(call, done.proof)
    before = f" (before: {', '.join(map(duration, done.before[:3]))})" if done.before else ""
    message = f"A restore takes {duration(done.seconds)}{before}."
    call.output.text(message)
    call.output.document({"success": done.proof.good, "message": message, "data": done.as_dict()})
    return 0 if done.proof.good else _FOUND


command = Backups(
    name="backup",
    help="Take, list, prove, restore, prune and export backups.",
    params=[*global_options()],
    context_settings=CONTEXT,
    no_args_is_help=False,
    commands=[
        create_command,
        list_command,
        verify_command,
        restore_command,
        prune_command,
        export_command,
        drill_command,
    ],
)


def _tell(call: Call, proof: Proof) -> None:
    seen = {"full": "restored and compared", "sampled": "restored in part and compared", "hashes": "hashes compared"}
    words = f"good: {seen[proof.mode]}" if proof.good else proof.why if proof.unread else f"NOT GOOD: {proof.why}"
    counted = f", {plural(proof.rows, 'row')}" if proof.mode != "hashes" and proof.good else ""
    call.output.text(call.output.clean(f"{proof.id}  {words}{counted}, {duration(proof.seconds)}"))
    for words in proof.notes:
        call.output.text(call.output.clean(f"  {words}"))


def _scope(line: Line) -> str:
    from bascule.services.backups import listed

    return "the whole database" if line.entry.scope == "database" else listed(line.entry.tables)


def _what(line: Line) -> str:
    words = [_scope(line)] if line.problem is None else [f"cannot be read: {line.problem}"]
    words += ["encrypted"] if line.entry.encrypted else []
    words += [each.partition(":")[0] for each in line.missing]
    words += [f"for {line.entry.migration}"] if line.entry.migration else []
    words += [f"of another target: {line.server}"] if line.problem is None and not line.own else []
    return ", ".join(words)


def _proved(line: Line) -> str:
    if line.known is not None and line.known.failed is not None:
        return "NOT GOOD"
    if line.verified:
        return "verified"
    if line.known is not None and line.known.mode == "hashes":
        return "hashes only"
    return "unverified" if line.known is not None or not line.own else "unknown here"


def _to_file(path: str, work: Any) -> int:
    """Whole or not at all, and never over another file."""
    import os

    from bascule.errors import Refused

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refused(f"There is a file {path} already.", code="file_exists", hint="Name another one.") from None
    except OSError as exc:
        raise Refused(f"{path} cannot be written: {exc.strerror}.", code="file_exists", hint="Check it.") from exc
    try:
        with os.fdopen(handle, "wb") as file:
            work(file.write)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()
    except BaseException:
        os.unlink(path)
        raise
