"""The seventeen rules that are always there, one a file; `BUILT_IN` has them in the order of their report."""

from __future__ import annotations

from bascule.ports.validation import Rule
from bascule.validation.rules import (
    audit_trail,
    business_constraints,
    check_constraints,
    connection_pool,
    data_consistency,
    data_range_validation,
    data_retention,
    data_type_validation,
    duplicate_data,
    fk_integrity,
    index_efficiency,
    not_null_constraints,
    orphaned_records,
    query_performance,
    referential_integrity,
    table_size,
    unique_constraints,
)

BUILT_IN: tuple[Rule, ...] = (
    fk_integrity.RULE,
    not_null_constraints.RULE,
    unique_constraints.RULE,
    check_constraints.RULE,
    referential_integrity.RULE,
    data_type_validation.RULE,
    data_range_validation.RULE,
    orphaned_records.RULE,
    duplicate_data.RULE,
    data_consistency.RULE,
    index_efficiency.RULE,
    query_performance.RULE,
    table_size.RULE,
    connection_pool.RULE,
    business_constraints.RULE,
    data_retention.RULE,
    audit_trail.RULE,
)

__all__ = ["BUILT_IN"]
