"""``${name}`` in native SQL: replaced only where the project declares variables; other folders read as written."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bascule.errors import ConfigError, SourceError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_USE = re.compile(r"\$?\$\{([^{}\n]*)\}")


def require_usable(variables: Mapping[str, str]) -> None:
    """Names must be words and values single lines (an error's line would be wrong otherwise). Raises `ConfigError`.

    Values are never shown: some are passwords.
    """
    for name, value in variables.items():
        if not _NAME.match(name):
            raise ConfigError(
                f"{name!r} cannot be the name of a variable.",
                hint="Letters, digits, `_`, `.` and `-`, beginning with a letter or `_`.",
            )
        if any(char in value for char in "\n\r\0"):
            raise ConfigError(
                f"The value of the variable {name} has more than one line.",
                hint="Variables stand for a word or a line; put longer text into the migration.",
            )


def substitute(text: str, variables: Mapping[str, str], *, path: str, line: int) -> str:
    """`text` with each ``${name}`` replaced by its value and each ``$${name}`` by ``${name}``.

    Without variables nothing is touched. `line` is the line of `path` on which `text` begins.
    Raises `SourceError` at the line of a name that is not declared.
    """
    if not variables:
        return text

    def value(use: re.Match[str]) -> str:
        if use[0].startswith("$$"):
            return use[0][1:]
        name = use[1].strip()
        if name not in variables:
            place = line + text.count("\n", 0, use.start())
            raise SourceError(
                f"{path}, line {place}: the variable ${{{use[1]}}} is not declared.",
                code="undeclared_variable",
                hint=f"Declared are: {', '.join(sorted(variables))}. "
                f"Declare it too, or write $${{{use[1]}}} for the text itself.",
                details={"path": path, "line": place, "variable": name},
            )
        return variables[name]

    return _USE.sub(value, text)
