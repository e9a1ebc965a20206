"""What the planted databases declare."""

from __future__ import annotations

from typing import Any

from bascule.ports.validation import Declaration
from bascule.validation.declared import read_rule

_TABLES: tuple[dict[str, Any], ...] = (
    {
        "rule": "data_consistency",
        "name": "items are counted",
        "table": "orders",
        "check": "item_count = (SELECT count(*) FROM items WHERE items.order_id = orders.id)",
    },
    {"rule": "data_consistency", "table": "orders", "column": "note", "encoding": True},
    {"rule": "business_constraints", "message": "totals are not negative", "table": "orders", "check": "total >= 0"},
    {"rule": "data_retention", "table": "orders", "column": "seen", "keep": "365d"},
    {"rule": "audit_trail", "table": "orders", "columns": ["by"]},
)


def days(value: Any) -> float:
    return float(str(value).removesuffix("d")) * 86_400


def declared(_dialect: str) -> dict[str, tuple[Declaration, ...]]:
    found: dict[str, tuple[Declaration, ...]] = {}
    for said in _TABLES:
        read = read_rule(said, duration=days)
        assert isinstance(read, Declaration)
        found[read.rule] = (*found.get(read.rule, ()), read)
    return found
