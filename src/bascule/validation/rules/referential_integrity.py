"""References that the database cannot keep: switched off, leading to nothing, or not inherited."""

from __future__ import annotations

from collections.abc import Iterator

from bascule.ports.validation import Asked, Finding, Inspection, ReferenceTest, Rule, TableFacts
from bascule.validation.rules.reading import listed, name_of, reference


def _inspect(asked: Asked) -> Inspection:
    findings: list[Finding] = []
    tests: list[ReferenceTest] = []
    foreign = 0
    for table in asked.catalog.tables.values():
        for each in table.constraints:
            if each.kind != "foreign":
                continue
            foreign += 1
            where = f"the foreign key {each.name} of {table.shown} ({listed(each.columns)})"
            if each.trouble:
                findings.append(Finding(words=f"{where} {each.trouble}", table=table.key, advice=_RIGHT))
            elif not each.enforced:
                findings.append(
                    Finding(
                        words=f"{where} is not enforced: rows that are written now are not looked at",
                        table=table.key,
                        advice="Switch its triggers on again: ALTER TABLE … ENABLE TRIGGER ALL, on both tables.",
                    )
                )
        tests += _inherited(asked, table)
    return Inspection(
        findings=tuple(findings),
        tests=tuple(tests),
        looked=f"{foreign} foreign keys are in force" if foreign else "",
        advice="Give the inheriting table a foreign key of its own, once its rows refer to something.",
    )


_RIGHT = "Correct the declaration of the foreign key."


def _inherited(asked: Asked, table: TableFacts) -> Iterator[ReferenceTest]:
    """A foreign key of a table says nothing of the rows of tables that inherit from it."""
    own = {each.columns for each in table.constraints if each.kind == "foreign"}
    for key in table.ancestors:
        above = asked.catalog.table(key)
        for each in above.constraints if above else ():
            if each.kind != "foreign" or each.parent is None or each.columns in own:
                continue
            parent = name_of(asked.catalog, each.parent)
            words = f"of {table.shown} ({listed(each.columns)}), which inherits from {name_of(asked.catalog, key)}, "
            yield reference(asked, table, each, f"{words}refer to no row of {parent}")


RULE = Rule(
    id="referential_integrity",
    name="Referential Integrity",
    description="Foreign keys are in force, lead to a table that is there, and hold for inheriting tables too.",
    category="data_integrity",
    severity="error",
    inspect=_inspect,
)
