"""Tables that are large, or mostly dead rows."""

from __future__ import annotations

from bascule.ports.validation import Asked, Finding, Inspection, Rule

_DEAD_ROWS = 10_000
_DEAD_SHARE = 0.3


def _inspect(asked: Asked) -> Inspection:
    findings = []
    for table in asked.catalog.tables.values():
        if table.bytes > asked.options.large_table:
            findings.append(
                Finding(
                    words=f"{table.shown} takes {_size(table.bytes)}",
                    table=table.key,
                    advice=f"Change {table.shown} in batches; think of partitions or of removing old rows.",
                )
            )
        if table.dead_rows > _DEAD_ROWS and table.dead_rows > _DEAD_SHARE * ((table.rows or 0) + table.dead_rows):
            findings.append(
                Finding(
                    words=f"{table.dead_rows:,.0f} rows of {table.shown} are dead beside {table.rows or 0:,.0f} living",
                    table=table.key,
                    advice=f"VACUUM {table.shown}; look what keeps autovacuum from it.",
                )
            )
    total = sum(table.bytes for table in asked.catalog.tables.values())
    return Inspection(
        findings=tuple(findings), looked=f"{len(asked.catalog.tables)} tables take {_size(total)} together"
    )


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


RULE = Rule(
    id="table_size",
    name="Table Size",
    description="No table is larger than the limit or holds many dead rows.",
    category="performance",
    severity="info",
    inspect=_inspect,
)
