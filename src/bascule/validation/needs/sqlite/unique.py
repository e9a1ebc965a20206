"""CREATE UNIQUE INDEX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bascule.domain.statement import Statement
from bascule.validation.needs.duplicates import Duplicates, Part
from bascule.validation.needs.need import Need
from bascule.validation.needs.sqlite.definition import Token, group, name_of, parts, tokens_of
from bascule.validation.needs.sqlite.world import World, table
from bascule.validation.needs.writing import Source, name


def index(world: World, statement: Statement) -> Iterator[Need]:
    """Of columns and expressions, of all rows or of some."""
    tokens = tokens_of(statement.text)
    words = [token[1] for token in tokens]
    at = 3 if words[:3] == ["create", "unique", "index"] else 0
    if not at:
        return
    only_if_missing = words[at : at + 3] == ["if", "not", "exists"]
    at += 3 if only_if_missing else 0
    at += 2 if words[at + 1] == "." else 0
    index_name = name_of(tokens[at])
    if words[at + 1] != "on" or words[at + 3] != "(":
        return
    of = name_of(tokens[at + 2])
    today = world.today(of)
    if today is None:
        return
    end = group(tokens, at + 3)
    written = [_part(part, statement.text) for part in parts(tokens[at + 4 : end]) if part]
    where = statement.text[tokens[end + 1][3] :] if words[end + 1 : end + 2] == ["where"] else ""
    alias = "" if today == of else of
    yield world.need(
        statement,
        today,
        words=f"{of} ({', '.join(part.label for part in written)}) must be unique" + (" in the index" if where else ""),
        offence="share a value with another",
        question=Duplicates(source=Source(table=table(today), alias=alias), parts=tuple(written), where=where),
        # Any name in it may be a column of the pending set's, quoted or not.
        doubt=world.doubt(of, *(name_of(token) for token in tokens[at + 4 :])),
        unless=index_name if only_if_missing else "",
    )


def _part(tokens: Sequence[Token], text: str) -> Part:
    """The order at the end means nothing here; COLLATE does, and stays."""
    kept = list(tokens[:-1] if tokens[-1][1] in ("asc", "desc") else tokens)
    if len(kept) == 1 and kept[0][0] in ("word", "quoted", "string"):
        return Part(expression=name(name_of(kept[0])), label=name_of(kept[0]))
    expression = text[kept[0][2] : kept[-1][3]]
    return Part(expression=expression, label=" ".join(expression.split()))
