"""Values that a column's new type must be able to hold: ALTER COLUMN TYPE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bascule.domain.statement import ObjectName
from bascule.validation.needs.computes import Computes
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.rows import Rows
from bascule.validation.needs.writing import Source, literal, name

_TEXTS = frozenset(("text", "varchar", "bpchar", "name", "citext"))
_WHOLE = {"int2": 15, "int4": 31, "int8": 63}
_NUMBERS = frozenset((*_WHOLE, "numeric", "float4", "float8", "money"))
_TOLD_BY_THE_SERVER = 160000
"""Since this version the server says of a text whether a type can read it, without an error."""
_READ = frozenset(
    (*_NUMBERS, "bool", "bytea", "cidr", "date", "inet", "interval", "json", "jsonb", "macaddr", "time", "timestamp")
) | {"timestamptz", "timetz", "uuid"}
"""Types that it is asked so: what a domain says of NULL it would not tell."""
_ALWAYS_FITS = {
    "int2": ("int4", "int8", "float4", "float8"),
    "int4": ("int8", "float8"),
    "float4": ("float8",),
    "timestamp": ("timestamptz", "date"),
    "timestamptz": ("timestamp", "date"),
    "date": ("timestamp", "timestamptz"),
    "jsonb": ("json",),
    "cidr": ("inet",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Converts:
    """How it is asked depends on the type that the column has today."""

    source: Source
    column: str
    type: str
    """The new type's own name."""
    written: str
    """The new type as the statement has it."""
    modifiers: tuple[int, ...] = ()
    plain: bool = True
    """No array."""
    cast: bool = False
    """USING casts the column itself, explicitly."""
    using: str = ""
    """Any other expression behind USING."""
    labels: tuple[str, ...] | None = None
    """Of an enumeration that the pending migrations make."""
    domain: Callable[[str], str] | None = None
    """Of a domain that they make: from a value to the condition that it is none of the domain's."""

    @property
    def tables(self) -> tuple[ObjectName, ...]:
        return (self.source.table,)

    def count(self, facts: Facts) -> str | None:
        asked = self.resolved(facts)
        return None if asked is None else asked.count(facts)

    def heading(self, facts: Facts) -> tuple[str, ...]:
        asked = self.resolved(facts)
        return () if asked is None else asked.heading(facts)

    def sample(self, facts: Facts) -> str:
        asked = self.resolved(facts)
        return "" if asked is None else asked.sample(facts)

    def resolved(self, facts: Facts) -> Rows | Computes | None:
        """The question that is asked; None where the catalog says that every value fits."""
        today = facts.of(self.source.table).columns.get(self.column)
        if today is None:
            return None
        if self.domain is not None:
            return self._rows(self.domain(f"({self.using or self._name}\n)"))
        if self.using:
            return self._other(f"({self.using}\n)")
        if self.labels is not None:
            texts = ", ".join(map(literal, self.labels)) or "NULL"
            return self._rows(f"{self._text} NOT IN ({texts})" if self.labels else f"{self._text} IS NOT NULL")
        return self._from(today.type, facts.version)

    def _from(self, today: str, version: int) -> Rows | Computes | None:
        if not self.plain:
            return self._computed()
        if self.type in _ALWAYS_FITS.get(today, ()) or (today == self.type and not self.modifiers):
            return None
        if self.type in ("text", "varchar", "bpchar"):
            return None if self.cast or not self.modifiers else self._rows(self._too_long(self._text))
        if today in _NUMBERS and today != "money":
            if self.type in _WHOLE:
                return self._rows(self._too_wide())
            if self.type == "numeric":
                return self._rows(self._too_large()) if self.modifiers else None
        if today in _TEXTS and version >= _TOLD_BY_THE_SERVER and self.type in _READ:
            return self._rows(f"NOT pg_catalog.pg_input_is_valid({self._text}, {literal(self.written)})")
        return self._computed()

    @property
    def _name(self) -> str:
        return name(self.column)

    @property
    def _text(self) -> str:
        return f"{self._name}::text"

    def _rows(self, offends: str) -> Rows:
        return Rows(source=self.source, offends=offends, columns=(self.column,))

    def _computed(self) -> Computes:
        return self._computes(f"{self._name}::{self.written}")

    def _other(self, expression: str) -> Rows | Computes:
        if self.type in ("varchar", "bpchar") and self.modifiers and self.plain:
            return self._rows(self._too_long(f"{expression}::text"))
        # As it is assigned to the column: a domain has its say then.
        return self._computes(f"{expression}::{self.written}")

    def _computes(self, expression: str) -> Computes:
        return Computes(source=self.source, expression=expression, columns=(self.column,))

    def _too_long(self, text: str) -> str:
        """Spaces behind what fits are cut off without a word, as the standard has it."""
        return f"pg_catalog.char_length(pg_catalog.rtrim({text})) > {self.modifiers[0]}"

    def _too_wide(self) -> str:
        bits = _WHOLE[self.type]
        whole = f"pg_catalog.round({self._name}::numeric)"
        return f"{whole} NOT BETWEEN -{2**bits} AND {2**bits - 1}"

    def _too_large(self) -> str:
        precision, scale = (*self.modifiers, 0)[:2]
        size = f"pg_catalog.abs(pg_catalog.round({self._name}::numeric, {scale}))"
        limit = f"1e{precision - scale}::numeric"
        return f"{size} >= {limit} AND {self._name}::numeric <> 'NaN'"
