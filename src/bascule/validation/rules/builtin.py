"""All seventeen, in the order they are told."""

from __future__ import annotations

from importlib import import_module

from bascule.ports.validation import Rule

IDS = (
    "fk_integrity",
    "not_null_constraints",
    "unique_constraints",
    "check_constraints",
    "referential_integrity",
    "data_type_validation",
    "data_range_validation",
    "orphaned_records",
    "duplicate_data",
    "data_consistency",
    "index_efficiency",
    "query_performance",
    "table_size",
    "connection_pool",
    "business_constraints",
    "data_retention",
    "audit_trail",
)

DECLARABLE = (
    "data_range_validation",
    "duplicate_data",
    "data_consistency",
    "business_constraints",
    "data_retention",
    "audit_trail",
)
"""Those that take rules from the configuration."""


def builtin_rules() -> list[Rule]:
    """Fresh list of them."""
    return [import_module(f"bascule.validation.rules.{name}").RULE for name in IDS]
