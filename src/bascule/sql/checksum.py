"""Two hashes of a file: of its bytes, and of what it means."""

from __future__ import annotations

from collections.abc import Iterable

from bascule.domain.statement import Dialect, Statement
from bascule.sql.meaning import meaning_diff
from bascule.sql.normal import normal_form
from bascule.sql.split import split

__all__ = ["SEMANTIC_VERSION", "exact_hash", "meaning_diff", "semantic_hash", "semantic_hash_of"]

SEMANTIC_VERSION = "bascule-lexer 1"
"""Which reading made a semantic hash. Two hashes of different readings say nothing about each other."""


def exact_hash(data: bytes) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def semantic_hash(text: str, dialect: Dialect) -> str:
    """SHA-256 of what the script means: comments, layout, the case of unquoted words and empty statements do not count.

    Literals, quoted identifiers, dollar-quoted bodies and the rows of a COPY count byte for byte. Raises
    SqlSyntaxProblem where the text cannot be split.
    """
    return semantic_hash_of(split(text, dialect), dialect)


def semantic_hash_of(statements: Iterable[Statement], dialect: Dialect) -> str:
    """`semantic_hash` of a script that is split already."""
    import hashlib

    digest = hashlib.sha256()
    for statement in statements:
        digest.update(normal_form(statement, dialect).encode("utf-8", "surrogatepass"))
        digest.update(b";\n")
    return digest.hexdigest()
