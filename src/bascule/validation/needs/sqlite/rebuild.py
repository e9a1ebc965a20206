"""A table made anew and filled from the old one: INSERT INTO new SELECT … FROM old."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bascule.domain.statement import Statement
from bascule.validation.needs.duplicates import Duplicates, Part
from bascule.validation.needs.need import Need, Question
from bascule.validation.needs.rows import Rows, null
from bascule.validation.needs.sqlite.definition import Definition, Token, group, name_of, parts, tokens_of
from bascule.validation.needs.sqlite.world import World, table
from bascule.validation.needs.writing import Source, name


def filled(world: World, statement: Statement) -> Iterator[Need]:
    """What the new table's definition demands of the rows that the SELECT gives."""
    tokens = tokens_of(statement.text)
    words = [token[1] for token in tokens]
    if words[:2] != ["insert", "into"]:
        return
    at = 2 + (2 if words[3:4] == ["."] else 0)
    definition = world.made.get(name_of(tokens[at]))
    at += 1
    if definition is None:
        return
    columns, at = _columns(definition, tokens, at)
    if words[at : at + 1] != ["select"] or "returning" in words or "conflict" in words:
        return
    read = _tables_read(tokens[at:])
    result = parts(tokens[at + 1 : _end_of_list(tokens, at)])
    star = any(part and part[-1][1] == "*" for part in result)
    # What a star stands for, and in which order, is not in the statement.
    if not read or (star and (len(result) > 1 or len(read) > 1)) or (not star and len(result) != len(columns)):
        return
    todays = [world.today(each) for each in read]
    if None in todays or any(each != today for each, today in zip(read, todays, strict=True)):
        return
    doubt = next((found for each in read if (found := world.doubt(each, *map(name_of, tokens[at:])))), "")
    source = Source(table=table(definition.name), query=statement.text[tokens[at][2] :], columns=tuple(columns))
    copied = {} if star or len(read) > 1 else _copied(columns, result)
    for said, offence, question in _demands(definition, source, columns):
        if isinstance(question, Duplicates) and len(question.parts) == 1 and question.parts[0].label in copied:
            question = replace(question, comes_from=(table(read[0]), copied[question.parts[0].label]))
        yield world.need(
            statement, read[0], words=said, offence=offence, question=question, doubt=doubt, server_words=False
        )


def _copied(columns: Sequence[str], result: Sequence[Sequence[Token]]) -> dict[str, str]:
    """Column of the new table → that of the old one whose values it takes as they are."""
    pairs = zip(columns, result, strict=True)
    return {column: name_of(part[0]) for column, part in pairs if len(part) == 1 and part[0][0] in ("word", "quoted")}


def _columns(definition: Definition, tokens: Sequence[Token], at: int) -> tuple[list[str], int]:
    """Those that are filled, and where the SELECT begins."""
    if at < len(tokens) and tokens[at][1] == "(":
        end = group(tokens, at)
        return [name_of(part[0]) for part in parts(tokens[at + 1 : end]) if part], end + 1
    return [column.name for column in definition.columns if not column.generated], at


def _end_of_list(tokens: Sequence[Token], at: int) -> int:
    depth = 0
    for place in range(at, len(tokens)):
        word = tokens[place][1]
        depth += (word == "(") - (word == ")")
        if depth == 0 and word == "from":
            return place
    return len(tokens)


def _tables_read(tokens: Sequence[Token]) -> list[str]:
    """Names behind FROM and JOIN and the commas between; empty where something else than a table is read."""
    found = []
    for place, token in enumerate(tokens[:-1]):
        if token[0] == "word" and token[1] in ("from", "join"):
            following = tokens[place + 1]
            if following[0] not in ("word", "quoted", "string"):
                return []
            found.append(name_of(following))
            behind = tokens[place + 2 : place + 4]
            if any(each[1] in (",", ".") for each in behind):
                return []
    return found


def _demands(definition: Definition, source: Source, columns: Sequence[str]) -> Iterator[tuple[str, str, Question]]:
    into = definition.name
    for column in definition.columns:
        rowid = column.primary and column.type == "integer"
        if column.tolerant or column.generated:
            continue
        if column.not_null and not rowid:
            if column.name in columns:
                question = Rows(source=source, offends=null((column.name,)), columns=_first(columns, column.name))
                yield f"{into}.{column.name} must not be NULL", "would be NULL there", question
            elif not column.fills:
                question = Rows(source=source, offends="1", columns=tuple(columns[:3]))
                yield f"{into}.{column.name} is NOT NULL, and nothing fills it", "have no value for it", question
        if (column.unique or column.primary) and column.name in columns:
            yield _unique(definition, source, (column.name,))
    for group_ in definition.unique:
        if all(column in columns for column in group_):
            yield _unique(definition, source, group_)
    for check in definition.checks:
        if all(column.name in columns or column.generated for column in definition.columns):
            question = Rows(source=source, offends=f"NOT ({check}\n)", columns=tuple(columns[:3]))
            yield f"CHECK ({' '.join(check.split())}) must hold in {into}", "would break it", question


def _unique(definition: Definition, source: Source, columns: Sequence[str]) -> tuple[str, str, Question]:
    parts_ = []
    for each in columns:
        known = definition.column(each)
        # The old table's collation would come along and call more, or less, the same.
        collation = known.collation if known is not None and known.collation else "binary"
        parts_.append(Part(expression=f"{name(each)} COLLATE {name(collation)}", label=each))
    words = f"{definition.name} ({', '.join(columns)}) must be unique"
    return words, "would share a value with another", Duplicates(source=source, parts=tuple(parts_))


def _first(columns: Sequence[str], column: str) -> tuple[str, ...]:
    """What tells the row: the first column, which is the key nearly always, and the one in question."""
    return tuple(dict.fromkeys((columns[0], column)))
