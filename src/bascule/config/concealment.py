"""Variables of migrations whose values are never shown: which they are, and their names in the values' place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

SHORTEST = 4
"""Characters. A shorter value would be found in half of all words, and guessed by whoever wants to know it."""
_WHOLE_WORDS_BELOW = 8
_PARTS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+")
_SECRET_PARTS = frozenset({"pass", "pwd", "passphrase", "passcode", "credential", "credentials", "key", "keys"})
_SECRET_ENDS = ("password", "passwords", "passwd", "secret", "secrets", "token", "tokens", "apikey")


def looks_secret(name: str) -> bool:
    """Whether a variable of that name holds a password, secret, token or key, as ``db_password``, ``apiToken`` and
    ``app.key`` do.

    Words count, not letters: ``monkey`` and ``passengers`` hold none.
    """
    parts = [part.lower() for part in _PARTS.findall(name)]
    return any(part in _SECRET_PARTS or part.endswith(_SECRET_ENDS) for part in parts)


def hidden(variables: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """The variables whose values are not shown: those that the settings name, and those whose names look like it."""
    marked = frozenset(named)
    return {
        name: value
        for name, value in variables.items()
        if len(value) >= SHORTEST and (name in marked or looks_secret(name))
    }


def conceal(text: str, variables: Mapping[str, str]) -> str:
    """The text with ``${name}`` in the place of each value, as the author of the migration wrote it."""
    for name, value in sorted(variables.items(), key=lambda each: len(each[1]), reverse=True):
        if value not in text:
            continue
        if len(value) >= _WHOLE_WORDS_BELOW:
            text = text.replace(value, f"${{{name}}}")
        else:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", lambda _, name=name: f"${{{name}}}", text)  # type: ignore[misc]
    return text
