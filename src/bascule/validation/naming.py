"""What names say: which table a column refers to, and whether two types hold the same values."""

from __future__ import annotations

import re

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WHOLE = ("int", "serial")
_TEXTS = ("char", "text", "clob", "citext")


def reference_words(column: str) -> list[str]:
    """What a column may refer to, most exact first: ``billing_address_id`` to billing_address, then address. Nothing
    of a column that is no reference.
    """
    words = _CAMEL.sub("_", column).lower().split("_")
    if len(words) < 2 or words[-1] not in ("id", "uuid", "fk"):
        return []
    rest = [word for word in words[:-1] if word]
    return ["_".join(rest[at:]) for at in range(len(rest))]


def plural_forms(word: str) -> frozenset[str]:
    """Names of a table whose rows are called that."""
    forms = {word, f"{word}s", f"{word}es", word.replace("_", ""), word.replace("_", "") + "s"}
    if word.endswith("y"):
        forms.add(f"{word[:-1]}ies")
    if word == "person":
        forms.add("people")
    if word == "child":
        forms.add("children")
    return frozenset(forms)


def kind_of(type_: str) -> str:
    """Equal for types whose values can be the same: every integer is one kind, every text another."""
    plain = type_.lower().partition("(")[0].strip()
    if any(word in plain for word in _WHOLE) and "interval" not in plain and "point" not in plain:
        return "integer"
    if any(word in plain for word in _TEXTS):
        return "text"
    return plain
