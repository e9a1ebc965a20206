"""What pending migrations need, in short words."""

from __future__ import annotations

from bascule.domain.statement import Dialect
from bascule.validation.needs.need import Need
from bascule.validation.needs.reading import list_needs
from tests.unit.planned import planned


def needs(*scripts: str, dialect: Dialect = "postgresql") -> tuple[Need, ...]:
    return list_needs(planned(*scripts, dialect=dialect), dialect)


def judged(*scripts: str, dialect: Dialect = "postgresql") -> list[str]:
    """``line: words`` of the needs that today's rows can judge."""
    return [f"{need.line}: {need.words}" for need in needs(*scripts, dialect=dialect) if not need.doubt]


def doubts(*scripts: str, dialect: Dialect = "postgresql") -> list[str]:
    """Why the others cannot be judged."""
    return [need.doubt for need in needs(*scripts, dialect=dialect) if need.doubt]
