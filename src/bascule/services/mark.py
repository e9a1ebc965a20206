"""Correct the ledger without running anything (Alembic's stamp, Django's --fake)."""

from __future__ import annotations

from bascule.errors import UsageError
from bascule.planning.meaning import meaning, parser_of
from bascule.planning.names import find
from bascule.ports.database import LedgerChange
from bascule.services.context import Context
from bascule.services.entries import entry_of
from bascule.services.environment import guard_change, guard_environment, note_reason
from bascule.services.record import record
from bascule.services.report import Report
from bascule.services.situation import look


def mark(
    context: Context, name: str, applied: bool, actor: str, reason: str = "", *, yes_production: str | None = None
) -> Report:
    """Record a migration as applied, or as pending again, without running it. Marks of a half-done script are cleared.

    Raises UsageError for a name that neither folder nor ledger knows, and as `up`.
    """
    situation = look(context)
    ledger = situation.ledger
    listed = situation.by_name
    underway = {half for half, _ in situation.marks}
    fileless = name not in listed and (name in ledger or name in underway)
    known = name if fileless else find(name, situation.refs).name
    half_done = known in underway
    if (known in ledger) == applied and not half_done:
        return Report(success=True, message=f"{known} is recorded as {_word(applied)} already.")
    if applied and fileless and known not in ledger:
        raise UsageError(
            f"{known} cannot be recorded as applied: its file is gone, and with it what the ledger would say of it.",
            hint=f"Bring the file back, or take back by hand what was done and use bascule mark {known} --pending.",
        )
    guard_environment(context)
    guard_change(context, "a mark", yes_production)
    note_reason(context, f"mark as {_word(applied)}", (known,), yes_production)
    data = {"applied": applied, "actor": actor, "reason": reason}
    if applied and fileless:
        record(context, known, LedgerChange(entry=ledger[known]), "marked", data)
    elif applied:
        migration = context.source.read(listed[known])
        entry = entry_of(
            migration,
            run_id="",
            semantic_hash=meaning(migration.up, context.target.dialect),
            parser=parser_of(migration.up),
            how="mark",
        )
        record(context, known, LedgerChange(entry=entry), "marked", data)
    else:
        record(context, known, LedgerChange(remove=known), "marked", data)
    return Report(success=True, message=f"{known} is now recorded as {_word(applied)}; nothing was run.")


def _word(applied: bool) -> str:
    return "applied" if applied else "pending"
