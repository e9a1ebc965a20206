"""`bascule cleanup`."""

from __future__ import annotations

from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.session import changing
from bascule.cli.words import plural


@verb("cleanup")
def command(call: Call) -> int:
    """Remove what was kept long enough: resolved alerts, sent messages, performance records, expired plans with
    their approvals, expired and revoked tokens, kept rows, and backups by the rules of the project. Journal, ledger
    and audit log stay.
    """
    from bascule import wiring

    with changing(call, progress=False) as context:
        cleaned = wiring.clean_up(call.settings, context)
    parts = (
        (len(cleaned.alerts), "resolved alert"),
        (cleaned.deliveries, "sent message"),
        (cleaned.performance, "performance record"),
        (cleaned.plans, "expired plan"),
        (cleaned.approvals, "approval"),
        (cleaned.tokens, "token"),
        (cleaned.preimages, "kept copy"),
        (len(cleaned.backups), "backup"),
    )
    words = ", ".join(plural(count, what) for count, what in parts if count)
    call.output.text(f"Removed {words}." if words else "Nothing was kept long enough to be removed.")
    for problem in cleaned.problems:
        call.output.warn(call.output.clean(problem))
    call.output.document({"success": not cleaned.problems, "data": cleaned.as_dict()})
    return 1 if cleaned.problems else 0
