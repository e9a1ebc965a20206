"""A script to its statements, where PostgreSQL or SQLite itself would end them."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

from bascule.domain.statement import Dialect, Statement
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.lexer import TokenKind, fold, line_at, scan

# Quotes and what opens a comment; words after which a semicolon may not end the statement; a byte order mark, commands
# of shells.
_NOT_PLAIN = re.compile(r"['\"`$\\\[\ufeff]|--|/\*|(?i:\b(?:atomic|trigger|copy)\b)|(?:^|;)\s*\.")
_MARKS = re.compile(r"[();]")
_SPACE = {"postgresql": " \t\n\r\f\v", "sqlite": " \t\n\r\f"}

# Compiled where they are first needed: most scripts hold neither.
_REPEATABLE = r"--[ \t]*bascule:[ \t]*repeatable[ \t]*$"
_REST_OF_COPY_LINE = r"[ \t\r\f\v]*(?:--[^\n]*)?(?:\n|\Z)"
_END_OF_ROWS = r"(?m:^)\\\.\r?(?:\n|\Z)"


def split(text: str, dialect: Dialect, first_line: int = 1) -> tuple[Statement, ...]:
    """The statements of `text`, which begins on line `first_line` of its file; empty ones are left out.

    A statement ends at a semicolon outside of strings, comments, parentheses (PostgreSQL), ``BEGIN ATOMIC`` bodies and
    trigger bodies (SQLite), or where the text ends. Raises SqlSyntaxProblem, with the line of the file, for what is
    never closed and for commands of psql or the sqlite3 shell, which no server understands.
    """
    if _NOT_PLAIN.search(text) is None:
        return _plain(text, dialect, first_line)
    try:
        return _split(text, dialect, first_line)
    except SqlSyntaxProblem as problem:
        raise SqlSyntaxProblem(
            problem.message, offset=problem.offset, line=line_at(text, problem.offset, first_line)
        ) from None


def _plain(text: str, dialect: Dialect, first_line: int) -> tuple[Statement, ...]:
    """The same for a text that holds nothing in which a semicolon could be hidden, but parentheses."""
    space = _SPACE[dialect]
    found: list[Statement] = []
    at = line = counted = parentheses = 0
    for mark in (*_MARKS.finditer(text), None):
        if mark is not None and mark[0] != ";":
            parentheses = _depth(parentheses, mark[0], dialect)
        elif mark is None or not parentheses:
            end = len(text) if mark is None else mark.start()
            if words := text[at:end].strip(space):
                start = text.index(words, at)
                line += text.count("\n", counted, start)
                counted = start
                found.append(Statement(text=words, index=len(found), line=first_line + line, offset=start))
            at = end + 1
    return tuple(found)


def _split(text: str, dialect: Dialect, first_line: int) -> tuple[Statement, ...]:
    found: list[Statement] = []
    at, line, counted = 0, first_line, 0
    while at < len(text):
        piece = _read(text, dialect, at)
        at = piece.resume
        if piece.start < 0:
            continue
        rows, at = _copied_rows(text, piece) if piece.takes_rows else (None, at)
        line += text.count("\n", counted, piece.start)
        counted = piece.start
        found.append(
            Statement(
                text=text[piece.start : piece.end],
                index=len(found),
                line=line,
                offset=piece.start,
                copy_data=rows,
                repeatable=piece.repeatable,
            )
        )
    return tuple(found)


_EMPTY_LINES = re.compile(r"(?<=\n)(?:[ \t]*\r?\n)*[ \t]*\Z")


class _Piece(NamedTuple):
    """One statement's place in the text; `start` is -1 where only white space and comments stand."""

    start: int
    end: int
    resume: int
    """Where the next statement's text begins: behind the semicolon."""
    repeatable: bool
    takes_rows: bool


class _Follower(Protocol):
    """Follows one statement token by token, where its first word says that semicolons may not end it as usual."""

    takes_rows: bool
    """The rows of a COPY … FROM stdin stand below it."""

    def see(self, kind: TokenKind, token: str, parentheses: int) -> None:
        """Take note of one significant token at that depth of parentheses."""

    def ends(self) -> bool:
        """Whether a semicolon here would end the statement."""


def _read(text: str, dialect: Dialect, begin: int) -> _Piece:
    start = end = -1
    parentheses = 0
    repeatable = False
    follower: _Follower | None = None
    resume = len(text)
    for kind, left, right in scan(text, dialect, begin):
        if kind == "space":
            continue
        if kind == "comment":
            repeatable = repeatable or (start < 0 and _declares_repeatable(text, begin, left, right))
            continue
        if kind == "symbol":
            mark = text[left]
            if mark == ";" and not parentheses and (follower is None or follower.ends()):
                resume = right
                break
            parentheses = _depth(parentheses, mark, dialect)
        elif kind == "meta":
            raise _psql_command(text, left, right)
        if start < 0:
            start = left
            follower = _follower(text[left:right], kind, dialect, left)
        if follower is not None:
            follower.see(kind, text[left:right], parentheses)
        end = right
    takes_rows = follower is not None and follower.takes_rows
    return _Piece(start=start, end=end, resume=resume, repeatable=repeatable, takes_rows=takes_rows)


def _depth(parentheses: int, mark: str, dialect: Dialect) -> int:
    """SQLite ends a statement inside parentheses too, and then refuses it: an open one must not swallow the file."""
    if dialect == "sqlite":
        return 0
    if mark == "(":
        return parentheses + 1
    return parentheses - 1 if mark == ")" and parentheses else parentheses


def _declares_repeatable(text: str, begin: int, left: int, right: int) -> bool:
    """Whether the comment speaks of the statement below it: one on the line of a semicolon speaks of that one's."""
    stands_above = begin == 0 or "\n" in text[begin:left]
    return stands_above and re.match(_REPEATABLE, text[left:right], re.IGNORECASE) is not None


def _follower(first: str, kind: TokenKind, dialect: Dialect, offset: int) -> _Follower | None:
    if dialect == "sqlite" and first == ".":
        message = "this is a command of the sqlite3 shell, not SQL: take it out of the migration"
        raise SqlSyntaxProblem(message, offset=offset, line=1)
    if kind != "word":
        return None
    word = fold(first)
    if dialect == "sqlite":
        return _TriggerBody() if word in ("create", "explain") else None
    if word == "create":
        return _RoutineBody()
    return _CopyRows() if word == "copy" else None


class _RoutineBody:
    """CREATE FUNCTION and CREATE PROCEDURE: semicolons between BEGIN ATOMIC and its END are the body's own."""

    __slots__ = ("_head", "_open", "_previous", "_routine")
    takes_rows = False

    def __init__(self) -> None:
        self._head = 0
        self._routine = False
        self._open = 0
        self._previous = ""

    def see(self, kind: TokenKind, token: str, parentheses: int) -> None:
        if self._head < 4:
            # CREATE [OR REPLACE] FUNCTION: the word that decides is one of the first four.
            self._head += 1
            self._routine = self._routine or fold(token) in ("function", "procedure")
        elif self._routine and not parentheses:
            self._follow(kind, token)

    def _follow(self, kind: TokenKind, token: str) -> None:
        word = fold(token) if kind == "word" else token
        # After a dot or AS the same words are names: t.end, SELECT 1 AS case.
        if kind == "word" and self._previous not in (".", "as"):
            if word == "atomic" and self._previous == "begin":
                self._open = 1
            elif self._open:
                self._open += (word == "case") - (word == "end")
        self._previous = word

    def ends(self) -> bool:
        return self._open == 0


class _CopyRows:
    """COPY … FROM stdin: the rows stand in the script, below the statement."""

    __slots__ = ("_previous", "takes_rows")

    def __init__(self) -> None:
        self._previous = ""
        self.takes_rows = False

    def see(self, kind: TokenKind, token: str, parentheses: int) -> None:
        word = fold(token) if kind == "word" and not parentheses else ""
        self.takes_rows = self.takes_rows or (word == "stdin" and self._previous == "from")
        self._previous = word

    def ends(self) -> bool:
        return True


class _TriggerBody:
    """SQLite's CREATE TRIGGER ends where ``sqlite3_complete`` says so: at the semicolon after ``; END``."""

    __slots__ = ("_before", "_head", "_last", "_trigger")
    takes_rows = False

    def __init__(self) -> None:
        self._head: list[str] = []
        self._trigger = False
        self._before = ""
        self._last = ""

    def see(self, kind: TokenKind, token: str, parentheses: int) -> None:
        word = fold(token) if kind == "word" else token
        if len(self._head) < 6:
            self._head.append(word)
            self._trigger = _makes_trigger(self._head)
        self._before, self._last = self._last, word

    def ends(self) -> bool:
        return not self._trigger or (self._last == "end" and self._before == ";")


def _makes_trigger(head: list[str]) -> bool:
    words = head[1:] if head[0] == "explain" else head
    words = words[2:] if words[:2] == ["query", "plan"] else words
    made = [word for word in words[1:] if word not in ("temp", "temporary")]
    return words[:1] == ["create"] and made[:1] == ["trigger"]


def _copied_rows(text: str, piece: _Piece) -> tuple[str, int]:
    """The rows below a COPY … FROM stdin, exactly as they stand, and the offset behind them."""
    rest = re.compile(_REST_OF_COPY_LINE).match(text, piece.resume)
    if rest is None:
        message = "the rows of COPY … FROM stdin must begin on the line after the statement"
        raise SqlSyntaxProblem(message, offset=piece.resume, line=1)
    end = re.compile(_END_OF_ROWS).search(text, rest.end())
    if end is None:
        # Empty lines at the end of a file, or of a block, are nobody's rows.
        return _EMPTY_LINES.sub("", text[rest.end() :]), len(text)
    return text[rest.end() : end.start()], end.end()


def _psql_command(text: str, left: int, right: int) -> SqlSyntaxProblem:
    command = text[left:right].split(maxsplit=1)[0]
    if command == "\\.":
        message = r"\. ends the rows of a COPY … FROM stdin, but none stands before it"
    else:
        message = f"{command} is a command of psql, which no server understands: take it out of the migration"
    return SqlSyntaxProblem(message, offset=left, line=1)
