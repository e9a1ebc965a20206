"""What a script means, apart from comments and layout: for telling an edit from a reformatting."""

from __future__ import annotations

from bascule.domain.migration import Script
from bascule.domain.statement import Dialect
from bascule.sql.checksum import SEMANTIC_VERSION, meaning_diff, semantic_hash


def parser_of(script: Script) -> str:
    """Name and version of what `meaning` reads this script with. Hashes are compared only when the same one made
    them.
    """
    if script.language == "python":
        import sys

        # The dump of a syntax tree differs between Python's minor versions.
        return f"python-ast {sys.version_info.major}.{sys.version_info.minor}"
    return SEMANTIC_VERSION


def meaning(script: Script, dialect: Dialect) -> str:
    """Semantic hash of a script. Python counts by its syntax tree, so comments and layout do not matter there
    either.
    """
    if script.language == "python":
        return _python_meaning(script.text)
    return semantic_hash(script.text, dialect)


def difference(old: str, new: Script, dialect: Dialect) -> tuple[str, ...]:
    """A readable difference of meaning, each line beginning with ``+ ``, ``- `` or two spaces."""
    if new.language == "python":
        import difflib

        return tuple(
            line.rstrip("\n")
            for line in difflib.ndiff(old.splitlines(), new.text.splitlines())
            if not line.startswith("? ")
        )
    return meaning_diff(old, new.text, dialect)


def _python_meaning(text: str) -> str:
    import ast
    import hashlib

    try:
        tree = ast.dump(ast.parse(text))
    except SyntaxError:
        tree = text
    return hashlib.sha256(tree.encode()).hexdigest()
