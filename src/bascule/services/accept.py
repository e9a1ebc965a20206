"""Take an edited applied file, or a missing one, as it is now."""

from __future__ import annotations

import dataclasses

from bascule.errors import UsageError
from bascule.planning.meaning import meaning, parser_of
from bascule.ports.database import LedgerChange
from bascule.services.context import Context
from bascule.services.environment import guard_environment
from bascule.services.record import record
from bascule.services.report import Report
from bascule.services.situation import GONE, difference_of, look


def accept(context: Context, name: str, reason: str, actor: str) -> Report:
    """Write the file's present checksum into the ledger (or that it is gone), with who and why into the journal.

    Raises:
        UsageError: no such applied migration, or an empty reason.
    """
    from bascule.planning.names import find

    if not reason.strip():
        raise UsageError("A reason is needed: it is what a colleague will read later.", hint="Add --reason '…'.")
    situation = look(context)
    ledger = situation.ledger
    if name in ledger and name not in situation.by_name:
        entry = dataclasses.replace(ledger[name], how=GONE)
        words = f"{name}: accepted that its file is gone."
    else:
        ref = find(name, situation.refs)
        if ref.name not in ledger:
            raise UsageError(
                f"{ref.name} is not applied, so there is nothing to accept.", hint="It can simply be edited."
            )
        if ledger[ref.name].exact_hash == context.source.fingerprint(ref):
            return Report(success=True, message=f"{ref.name} is as it was applied; nothing to accept.")
        for line in difference_of(context, ref.name):
            context.say(f"    {line}")
        migration = context.source.read(ref)
        entry = dataclasses.replace(
            ledger[ref.name],
            exact_hash=migration.exact_hash,
            semantic_hash=meaning(migration.up, context.target.dialect),
            parser=parser_of(migration.up),
            script=migration.up.text,
        )
        words = f"{ref.name}: accepted as it is now."
    guard_environment(context)
    record(context, entry.name, LedgerChange(entry=entry), "accepted", {"reason": reason, "actor": actor})
    return Report(success=True, message=words)
