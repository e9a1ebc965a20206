"""What the earlier statements of the same pending set have made of a SQLite database."""

from __future__ import annotations

from dataclasses import dataclass, field

from bascule.domain.statement import ObjectName, Statement
from bascule.validation.needs.need import Change, Need, Question
from bascule.validation.needs.sqlite.definition import Definition


def table(name: str) -> ObjectName:
    """A table of the main database."""
    return ObjectName(kind="relation", name=name)


@dataclass(slots=True, kw_only=True)
class World:
    """Reads statements in order."""

    migration: str = ""
    path: str = ""
    made: dict[str, Definition | None] = field(default_factory=dict)
    """Tables that the pending set makes, with their definitions where they can be read."""
    gone: set[str] = field(default_factory=set)
    """Names of today that mean something else, or nothing, from here on."""
    renamed: dict[str, str] = field(default_factory=dict)
    """Name within the pending set → name of today."""
    columns: dict[tuple[str, str], str] = field(default_factory=dict)
    """(Table, column) that the pending set adds or renames → why today's rows cannot tell."""
    changes: list[Change] = field(default_factory=list)
    triggered: set[str] = field(default_factory=set)
    blind: str = ""

    def enter(self, migration: str, path: str) -> None:
        """The next script begins."""
        self.migration, self.path = migration, path

    def today(self, name: str) -> str | None:
        """The name that a table has today; None for one that the pending set makes, or that is gone."""
        if name in self.made or name in self.gone:
            return None
        return self.renamed.get(name, name)

    def changed(self, name: str, statement: Statement) -> None:
        """Rows of a table are changed."""
        if name in self.triggered and not self.blind:
            self.blind = f"{self.migration}, line {statement.line} fires triggers, which may change rows"
        of = self.today(name) or name
        if not any(change.table.name == of for change in self.changes):
            self.changes.append(Change(table=table(of), migration=self.migration, line=statement.line))

    def doubt(self, name: str, *columns: str) -> str:
        """Why the rows of a table, as they are today, cannot tell; empty where they can."""
        for column in columns:
            if words := self.columns.get((name, column)):
                return words
        of = self.today(name) or name
        for change in self.changes:
            if change.table.name == of:
                line = f"line {change.line}"
                where = line if change.migration == self.migration else f"{change.migration}, {line}"
                return f"{where} changes rows of {of} first"
        return self.blind

    def need(
        self,
        statement: Statement,
        name: str,
        *,
        words: str,
        offence: str,
        question: Question,
        doubt: str = "",
        unless: str = "",
        server_words: bool = False,
    ) -> Need:
        """A need of the rows of a table of today."""
        return Need(
            migration=self.migration,
            path=self.path,
            line=statement.line,
            table=table(name),
            words=words,
            offence=offence,
            question=question,
            doubt=doubt,
            earlier=tuple(self.changes),
            unless=table(unless) if unless else None,
            server_words=server_words,
        )
