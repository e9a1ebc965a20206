"""What an edit changed in the meaning of a script, as lines a person can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bascule.domain.statement import Dialect, Statement
from bascule.sql.lexer import significant
from bascule.sql.normal import normal_form, normal_token
from bascule.sql.split import split

_LONG = 240
"""Characters of a line that are shown; a longer one is cut, and its hash added so that it still differs."""
_MANY = 3000
"""Lines beyond which changes are compared without regard to order, because the other way takes their square."""
_CONTEXT = 3
"""Unchanged lines shown around a change."""
_GAP = "  …"
_TIGHT_AFTER = frozenset(("(", "[", ".", "::"))
_TIGHT_BEFORE = frozenset((")", "]", ",", ".", ";", "::", "["))


def meaning_diff(old_text: str, new_text: str, dialect: Dialect) -> tuple[str, ...]:
    """Lines that begin with ``"+ "``, ``"- "`` or ``"  "``: what the new text says that the old one did not.

    Empty where both mean the same. Raises SqlSyntaxProblem where one of the texts cannot be split.
    """
    from difflib import SequenceMatcher

    old, new = split(old_text, dialect), split(new_text, dialect)
    old_forms = [normal_form(statement, dialect) for statement in old]
    new_forms = [normal_form(statement, dialect) for statement in new]
    lines: list[str] = []
    matcher = SequenceMatcher(None, old_forms, new_forms, autojunk=False)
    for what, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if what == "equal":
            continue
        told = _compare(_readable(old[old_from:old_to], dialect), _readable(new[new_from:new_to], dialect))
        # Readable lines leave spaces out and cut long literals; should that hide the change, the plain forms show it.
        told = told or _compare(old_forms[old_from:old_to], new_forms[new_from:new_to])
        lines.extend([_GAP, *told] if lines else told)
    return tuple(lines)


def _compare(old: Sequence[str], new: Sequence[str]) -> list[str]:
    if max(len(old), len(new)) > _MANY:
        return _compare_without_order(old, new)
    if not old or not new:
        return [f"- {line}" for line in old] + [f"+ {line}" for line in new]
    return _compare_in_order(old, new)


def _compare_in_order(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """The changed lines with those around them, below the line with which their statement begins."""
    from difflib import SequenceMatcher

    lines: list[str] = []
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_CONTEXT):
        if lines:
            lines.append(_GAP)
        elif (first := group[0][1]) > 0:
            lines.extend([f"  {old[0]}", _GAP] if first > 1 else [f"  {old[0]}"])
        for what, old_from, old_to, new_from, new_to in group:
            if what == "equal":
                lines.extend(f"  {line}" for line in old[old_from:old_to])
            else:
                lines.extend(f"- {line}" for line in old[old_from:old_to])
                lines.extend(f"+ {line}" for line in new[new_from:new_to])
    return lines


def _compare_without_order(old: Sequence[str], new: Sequence[str]) -> list[str]:
    gone, come = Counter(old), Counter(new)
    common = gone & come
    lines = [f"- {line}" for line in _beyond(old, common)] + [f"+ {line}" for line in _beyond(new, common)]
    return lines or ["  the same lines in another order"]


def _beyond(lines: Sequence[str], common: Counter[str]) -> Iterator[str]:
    """The lines, in their order, less as many of each as are common to both sides."""
    left = common.copy()
    for line in lines:
        if left[line] > 0:
            left[line] -= 1
        else:
            yield line


def _readable(statements: Sequence[Statement], dialect: Dialect) -> list[str]:
    lines: list[str] = []
    for statement in statements:
        lines.extend(_shortened(line) for line in _lines(statement, dialect))
        if statement.copy_data is not None:
            lines.extend(_shortened(row) for row in [*statement.copy_data.splitlines(), "\\."])
    return lines


def _lines(statement: Statement, dialect: Dialect) -> Iterator[str]:
    """A line for each part of the statement's outermost list, and for each line of what its literals hold.

    The outermost list of CREATE TABLE is inside its parentheses, that of INSERT … VALUES is a list of parentheses.
    """
    words = [normal_token(statement.text, token) for token in significant(statement.text, dialect)]
    inside = int(words[0] == "create")
    line = previous = ""
    depth = 0
    for word in words:
        depth -= word == ")"
        if word == ")" and depth < inside:
            if line.strip():
                yield line
            line = previous = ""
        line += word if not previous or _tight(previous, word) else f" {word}"
        previous = word
        depth += word == "("
        if (word == "," and depth <= inside) or (word == "(" and depth == inside):
            yield line
            line, previous = "  ", ""
        elif "\n" in word:
            *whole, line = line.split("\n")
            yield from whole
    yield f"{line};"


def _tight(previous: str, word: str) -> bool:
    return previous in _TIGHT_AFTER or word in _TIGHT_BEFORE


def _shortened(line: str) -> str:
    if len(line) <= _LONG:
        return line
    import hashlib

    digest = hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{line[:_LONG]}… ({len(line):,} characters, sha256 {digest})"
