"""The server's connections: nearly all taken, or idle in a transaction."""

from __future__ import annotations

from bascule.ports.validation import Asked, Finding, Inspection, Rule

_FULL = 0.8


def _inspect(asked: Asked) -> Inspection:
    known = asked.catalog.connections
    if known is None:
        return Inspection(skipped="SQLite has no server to connect to")
    findings = []
    if known.used > _FULL * known.most:
        findings.append(
            Finding(
                words=f"{known.used} of {known.most} connections are taken",
                advice="Use a pooler, or make the pools of the applications smaller.",
            )
        )
    if known.idle_in_transaction:
        findings.append(
            Finding(
                words=f"{known.idle_in_transaction} connections are idle in a transaction, one for "
                f"{known.oldest_seconds:,.0f} s: a migration may have to wait for them",
                advice="End these transactions, or set idle_in_transaction_session_timeout.",
            )
        )
    return Inspection(findings=tuple(findings), looked=f"{known.used} of {known.most} connections are taken")


RULE = Rule(
    id="connection_pool",
    name="Connection Pool",
    description="Enough connections are free, and none is idle in a transaction for long.",
    category="performance",
    severity="info",
    inspect=_inspect,
)
