"""The server's connections: how many are taken, and who holds a transaction open and does nothing.

Bad: an application that forgets a COMMIT, behind which every ALTER TABLE waits.
Good: idle_in_transaction_session_timeout.
"""

from __future__ import annotations

from bascule.ports.validation import Asked, Finding, Inspection, Rule

_FULL = 0.8


def inspect(asked: Asked) -> Inspection:
    """As the server tells at this moment."""
    now = asked.catalog.connections
    if now is None:
        return Inspection(
            skipped="SQLite has no connections to count",
            unread=tuple(words for part, words in asked.catalog.unread.items() if part == "connections"),
        )
    findings = []
    if now.used >= _FULL * now.most:
        words = f"{now.used} of {now.most} connections are taken"
        findings.append(Finding(words=words, advice="Use a pooler, or raise max_connections."))
    if now.idle_in_transaction:
        words = (
            f"{now.idle_in_transaction} transactions have been idle for more than {asked.options.idle_seconds:g} s, "
            f"the oldest for {now.oldest_seconds:,.0f} s"
        )
        findings.append(Finding(words=words, advice="Set idle_in_transaction_session_timeout; end those sessions."))
    return Inspection(findings=tuple(findings), looked=f"{now.used} of {now.most} connections are taken")


RULE = Rule(
    id="connection_pool",
    name="Connection Pool",
    description="The server has connections left, and no transaction is idle for long.",
    category="performance",
    severity="info",
    inspect=inspect,
)
