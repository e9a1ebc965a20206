"""Foreign keys that the database has not looked at, or does not."""

from __future__ import annotations

from bascule.ports.validation import Asked, Inspection, Rule
from bascule.validation.rules.reading import listed, name_of, reference


def _inspect(asked: Asked) -> Inspection:
    tests, trusted = [], 0
    for table in asked.catalog.tables.values():
        for foreign in table.constraints:
            if foreign.kind != "foreign" or foreign.parent is None or foreign.trouble:
                continue
            if asked.catalog.table(foreign.parent) is None:
                continue
            if foreign.validated and foreign.enforced and asked.options.trust_catalog:
                trusted += 1
                continue
            parent = name_of(asked.catalog, foreign.parent)
            words = f"of {table.shown} ({listed(foreign.columns)}) refer to no row of {parent}"
            tests.append(reference(asked, table, foreign, words))
    return Inspection(
        tests=tuple(tests),
        looked=f"{trusted} foreign keys are validated by the database" if trusted else "",
        advice="Correct or remove the rows that refer to nothing, then validate the foreign key.",
    )


RULE = Rule(
    id="fk_integrity",
    name="Foreign Key Integrity",
    description="Rows of foreign keys that the database has not validated refer to a row that is there.",
    category="data_integrity",
    severity="error",
    inspect=_inspect,
)
