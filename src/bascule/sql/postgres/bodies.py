"""What the text of a routine or a DO block tells of changes that nobody sees from outside: read by its words alone.

A text that says nothing suspicious is believed. A text that is put together while it runs is not, unless its first
words stand there as they are: ``EXECUTE format('CREATE TRIGGER …', …)`` makes a trigger, whatever its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import fold, significant
from bascule.sql.postgres.functions import is_known

_Words = list[tuple[str, str]]
"""Kind and text of each token; that of a string is its content."""

_BEYOND = re.compile(
    r"\b(?:create|alter|drop|comment on) (?:role|user|group|database|tablespace|subscription|system|large)\b"
    r"|\bsecurity label\b|\b(?:reassign|drop) owned\b|\b(?:from|to) program\b"
    r"|\b(?:grant|revoke)\b(?:(?!\bon\b|\bto\b|\bfrom\b)[^;])*\b(?:to|from)\b"
    r"|\b(?:lo_\w+|dblink\w*|\w+_to_xml\w*|pg_(?!get_)\w*(?:slot|origin|reload|rotate|file|promote|import)\w*) \("
)
_DEFINES = re.compile(
    r"\b(?:create|alter|drop|grant|revoke|comment on|reindex|import|cluster)\b(?! (?:temp|temporary|local)\b)"
)
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_CALLED = re.compile(r"([\w.$]+) \(")
_CALLED_FIRST = re.compile(r"\b(?:perform|select|call) ([\w.$]+) \(")
_NO_FUNCTIONS = frozenset(
    (
        "all",
        "array",
        "case",
        "cast",
        "coalesce",
        "distinct",
        "exists",
        "extract",
        "greatest",
        "grouping",
        "least",
        "not",
        "nullif",
        "row",
        "trim",
    )
)
"""Words of the grammar that stand before a parenthesis and call nothing."""
_LANGUAGE = re.compile(r"\blanguage (\w+)")
_MADE = re.compile(r"create (?:or replace )?(?:function|procedure) ([\w.$]+) \(")
_READABLE = ("plpgsql", "sql")
_HEADS = re.compile(
    r"\s*(?:select|insert|update|delete|merge|with|truncate|refresh|lock|set|reset|analyze"
    r"|(?:create|alter|drop|comment|grant|revoke|reindex|import)\s+[a-z]+)\b",
    re.IGNORECASE,
)


def beyond_the_schema(text: str) -> str | None:
    """Why a statement ``CREATE FUNCTION …``, ``CREATE PROCEDURE …`` or ``DO …`` may change what no look at the schema
    can see, in words that go on after its name; None where nothing says so.
    """
    words = _words(text)
    if words is None:
        return "cannot be read"
    flat = _flat(words)
    language = _LANGUAGE.search(flat)
    if (language[1] if language else "plpgsql") not in _READABLE:
        return "is not written in a language that can be read"
    if any(not _HEADS.match(each) for each in _executed(words)):
        return "executes a text that it puts together"
    found = _BEYOND.search(flat)
    return None if found is None else f"says {found[0].upper().removesuffix(' (')}"


def speaks_beyond_the_schema(text: str) -> str | None:
    """The words of a text in any other language (a Python file) that may change what no look can see; None for none."""
    found = _BEYOND.search(re.sub(r"\s+", " ", re.sub(r"(?<=\w)\(", " (", text.lower())))
    return None if found is None else found[0].upper().removesuffix(" (")


def changes_the_schema(text: str) -> bool:
    """Whether such a text may change schema objects."""
    words = _words(text)
    if words is None:
        return True
    # The first words are those of the definition itself.
    body = _flat(words[3:])
    return bool(_DEFINES.search(body)) or any(not _HEADS.match(each) for each in _executed(words))


def called_names(text: str) -> frozenset[str]:
    """Names before an opening parenthesis, without their schemas: every function that it calls, and much else."""
    words = _words(text) or []
    return frozenset(found.rpartition(".")[2] for found in _CALLED.findall(_flat(words)))


def untold_calls(text: str) -> frozenset[str]:
    """Functions that it surely calls, by PERFORM, SELECT or CALL, and that are not known to change no schema object."""
    flat = _flat(_words(text) or [])
    names = {found.rpartition(".")[2] for found in _CALLED_FIRST.findall(flat)}
    return frozenset(name for name in names - _NO_FUNCTIONS if not is_known((name,)))


def made_name(text: str) -> str | None:
    """The routine that a statement makes, without its schema; None for a DO block."""
    found = _MADE.match(_flat((_words(text) or [])[:12]))
    return None if found is None else found[1].rpartition(".")[2]


def _words(text: str) -> _Words | None:
    try:
        return list(_read(text, inside=False))
    except SqlSyntaxProblem:
        return None


def _read(text: str, *, inside: bool) -> Iterator[tuple[str, str]]:
    """Tokens; what the statement quotes by dollars, or as the string behind AS or DO, is its body and read as well."""
    before = ""
    for kind, start, end in significant(text, "postgresql"):
        token = text[start:end]
        content = _content(kind, token)
        if content is not None and not inside and (kind == "dollar" or before in ("as", "do")):
            yield from _read(content, inside=True)
        elif content is not None:
            yield ("string", _COMMENT.sub(" ", content))
        else:
            yield (kind, fold(token) if kind == "word" else token.strip('"'))
        before = fold(token)


def _content(kind: str, token: str) -> str | None:
    if kind == "dollar":
        quote = token.index("$", 1) + 1
        return token[quote:-quote]
    if kind == "string":
        return token[token.index("'") + 1 : -1].replace("''", "'")
    return None


def _flat(words: _Words) -> str:
    """All of it in one line, the contents of strings included."""
    text = " ".join(word.lower() for _, word in words)
    return re.sub(r"\s+", " ", re.sub(r"(?<=\w)\(", " (", text.replace(" . ", ".")))


def _executed(words: _Words) -> Iterator[str]:
    """What stands behind each EXECUTE of PL/pgSQL: the string as far as it is written, else nothing."""
    for place, (kind, word) in enumerate(words):
        if kind != "word" or word != "execute":
            continue
        rest = [each for each in words[place + 1 : place + 6] if each[1] != "("]
        if rest[:1] and rest[0] in (("word", "function"), ("word", "procedure"), ("word", "on")):
            continue
        if rest[:1] == [("word", "format")]:
            rest = rest[1:]
        yield rest[0][1] if rest and rest[0][0] == "string" else ""
