"""PostgreSQL's own grammar: libpg_query, taken from the installed ``postgast`` package through ctypes.

``postgast`` itself is not imported where that can be helped: its protobuf classes cost 50 to 180 ms, loading the
library 6 ms, and the library's JSON answer is all that is needed here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import line_at

_FILES = ("libpg_query.so", "libpg_query.dylib", "pg_query.dll")


def parse(text: str) -> dict[str, Any]:
    """The parse tree of `text`, as libpg_query's JSON has it: ``{"version": …, "stmts": [{"stmt": {kind: node}}]}``.

    Fields that are false, zero or empty are left out. Raises SqlSyntaxProblem where the grammar refuses the text (the
    server's own grammar may be newer and accept it), OSError where the library cannot be had (`available`), and
    RecursionError for expressions nested deeper than Python can follow.
    """
    import json

    tree: dict[str, Any] = json.loads(parse_raw(text))
    return tree


def parse_raw(text: str) -> str:
    """The parse tree as JSON text: a pattern in it finds nodes without building them. Raises as `parse` does."""
    if "\0" in text:
        offset = text.index("\0")
        raise SqlSyntaxProblem("a NUL character stands in the text", offset=offset, line=line_at(text, offset))
    tree, message, cursor = _parser()(_encoded(text))
    if message is not None:
        offset = min(max(cursor - 1, 0), len(text))
        raise SqlSyntaxProblem(message, offset=offset, line=line_at(text, offset))
    return tree


def available() -> bool:
    """Whether the library can be loaded here."""
    try:
        _library()
    except OSError:
        return False
    return True


def version() -> str:
    """Which grammar this is: ``libpg_query 18.4`` is that of PostgreSQL 18.4. Raises OSError where it cannot be had."""
    number = int(parse("")["version"])
    return f"libpg_query {number // 10000}.{number % 10000}"


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        message = f"the text cannot be written as UTF-8: {error.reason}"
        raise SqlSyntaxProblem(message, offset=error.start, line=line_at(text, error.start)) from error


@cache
def _library() -> Any:
    """The loaded library. Raises OSError where neither the file nor an importable ``postgast`` has it."""
    import ctypes
    import importlib.util
    from pathlib import Path

    spec = importlib.util.find_spec("postgast")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for name in _FILES:
            if (path := Path(folder) / name).is_file():
                return ctypes.CDLL(str(path))
    try:
        from postgast import native
    except ImportError as error:
        raise OSError("PostgreSQL's grammar is not installed: the package postgast is missing") from error
    return native.lib


@cache
def _parser() -> Callable[[bytes], tuple[str, str | None, int]]:
    """From UTF-8 text to its tree as JSON, or to the grammar's message and its place in characters, from 1."""
    import ctypes

    class Error(ctypes.Structure):
        _fields_ = (
            ("message", ctypes.c_char_p),
            ("funcname", ctypes.c_char_p),
            ("filename", ctypes.c_char_p),
            ("lineno", ctypes.c_int),
            ("cursorpos", ctypes.c_int),
            ("context", ctypes.c_char_p),
        )

    class Result(ctypes.Structure):
        _fields_ = (
            ("parse_tree", ctypes.c_char_p),
            ("stderr_buffer", ctypes.c_char_p),
            ("error", ctypes.POINTER(Error)),
        )

    # Prototypes of our own: the functions that hang on a library are shared with whoever else has loaded it.
    library = _library()
    call = ctypes.CFUNCTYPE(Result, ctypes.c_char_p)(("pg_query_parse", library))
    free = ctypes.CFUNCTYPE(None, Result)(("pg_query_free_parse_result", library))

    def parse_bytes(text: bytes) -> tuple[str, str | None, int]:
        result = call(text)
        try:
            if result.error:
                error = result.error.contents
                return "", error.message.decode(errors="replace"), error.cursorpos
            return result.parse_tree.decode(), None, 0
        finally:
            free(result)

    return parse_bytes
