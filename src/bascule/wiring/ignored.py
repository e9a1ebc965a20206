"""The objects that fingerprints leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bascule.errors import ConfigError

if TYPE_CHECKING:
    from bascule.domain.statement import ObjectName, Touch

_KINDS: Mapping[str, str] = {
    "table": "relation",
    "view": "relation",
    "materialized view": "relation",
    "foreign table": "relation",
    "index": "relation",
    "sequence": "relation",
    "function": "routine",
    "procedure": "routine",
    "aggregate": "routine",
    "type": "type",
    "domain": "type",
    "schema": "schema",
    "role": "role",
    "extension": "extension",
}


def outside(ignored: tuple[str, ...]) -> Touch:
    """The objects that are left out of fingerprints, from words like ``table public.jobs``. Raises ConfigError."""
    from bascule.domain.statement import Touch

    return Touch(objects=frozenset(_object(words) for words in ignored))


def _object(words: str) -> ObjectName:
    from bascule.domain.statement import ObjectName

    kind, _, name = words.strip().rpartition(" ")
    if kind not in _KINDS or not name:
        raise ConfigError(
            f"Setting fingerprint.ignore: {words!r} does not name an object.",
            hint=f'Write a kind and a name, as in "table public.jobs". Kinds: {", ".join(_KINDS)}.',
        )
    parts = _split_name(name)
    return ObjectName(kind=_KINDS[kind], name=parts[-1], schema=parts[-2] if len(parts) > 1 else None)  # type: ignore[arg-type]


def _split_name(name: str) -> list[str]:
    """Parts of a name as the database folds them: quoted ones as they are, the others in lower case."""
    import re

    return [
        quoted.replace('""', '"') if quoted else plain.lower()
        for quoted, plain in re.findall(r'"((?:[^"]|"")+)"|([^."]+)', name)
    ]
