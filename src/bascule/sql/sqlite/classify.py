"""One SQLite statement to what is known of it before it runs."""

from __future__ import annotations

from collections.abc import Callable

from bascule.domain.statement import Effect, Insight, ObjectName, Statement, Touch
from bascule.sql.errors import SqlSyntaxProblem
from bascule.sql.sqlite.pragmas import inspect_pragma
from bascule.sql.sqlite.words import Words

_HARMLESS = Effect(action="harmless")
_UNKNOWN = Effect(action="unknown")

_CATALOG = frozenset(("sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"))
_CONFLICT = ("abort", "fail", "ignore", "replace", "rollback")

Reading = Callable[[Words, Statement], Insight]


def inspect_sqlite(statement: Statement) -> Insight:
    """What a statement is, what it touches, and whether a transaction can hold it; never raises for bad SQL."""
    try:
        words = Words(statement.text)
    except SqlSyntaxProblem as problem:
        return _unread(statement, problem.message)
    reading = _READINGS.get(words.peek())
    return reading(words, statement) if reading is not None else _unread(statement, "SQLite has no such statement")


def _unread(statement: Statement, reason: str) -> Insight:
    return Insight(kind="UNKNOWN", transactional=True, touch=_everything(statement, reason))


def _everything(statement: Statement, reason: str) -> Touch:
    return Touch(everything=True, reasons=(f"line {statement.line}: {reason}",))


def _objects(*names: ObjectName) -> Touch:
    return Touch(objects=frozenset(names))


# Transaction control


def _begin(words: Words, statement: Statement) -> Insight:
    return Insight(kind="BEGIN", transactional=True, control="begin")


def _commit(words: Words, statement: Statement) -> Insight:
    return Insight(kind="COMMIT", transactional=True, control="commit")


def _rollback(words: Words, statement: Statement) -> Insight:
    words.take("rollback")
    words.take("transaction")
    if words.take("to"):
        return Insight(kind="ROLLBACK TO", transactional=True, control="savepoint")
    return Insight(kind="ROLLBACK", transactional=True, control="rollback")


def _savepoint(words: Words, statement: Statement) -> Insight:
    return Insight(kind=words.peek().upper(), transactional=True, control="savepoint")


# CREATE


def _create(words: Words, statement: Statement) -> Insight:
    words.take("create")
    temporary = bool(words.take_any("temp", "temporary"))
    words.take("unique")
    kind = words.take_any("table", "index", "view", "trigger", "virtual")
    if kind == "virtual":
        words.take("table")
    words.take("if", "not", "exists")
    made = words.relation()
    if kind in ("index", "trigger"):
        return _create_on_table(words, statement, kind, made, temporary)
    temporary = temporary or made.schema == "temp"
    if kind == "virtual":
        touch = _objects(made) | _everything(statement, "CREATE VIRTUAL TABLE makes tables of its module's own")
        return Insight(kind="CREATE VIRTUAL TABLE", transactional=True, touch=touch)
    if not kind:
        return _unread(statement, "SQLite has no such CREATE statement")
    touch = Touch() if temporary else _objects(made)
    return Insight(kind=f"CREATE {kind.upper()}", transactional=True, temporary=temporary, touch=touch)


def _create_on_table(words: Words, statement: Statement, kind: str, made: ObjectName, temporary: bool) -> Insight:
    """A trigger counts as part of its table, which is in its database whatever follows ON. An index changes nothing but
    itself.
    """
    name = f"CREATE {kind.upper()}"
    if not words.skip_to("on"):
        return _unread(statement, f"{name} does not say on which table")
    words.take("on")
    table = words.relation()
    table = ObjectName(kind="relation", name=table.name, schema=table.schema or made.schema)
    temporary = temporary or made.schema == "temp"
    changed = _index(made, table) if kind == "index" else (table,)
    touch = Touch() if temporary else _objects(*changed)
    return Insight(kind=name, transactional=True, temporary=temporary, touch=touch)


def _index(made: ObjectName, table: ObjectName) -> tuple[ObjectName, ObjectName]:
    return made, ObjectName(kind="relation", name=table.name, schema=table.schema, column="")


# DROP, ALTER


def _drop(words: Words, statement: Statement) -> Insight:
    words.take("drop")
    kind = words.take_any("table", "index", "view", "trigger")
    if not kind:
        return _unread(statement, "SQLite has no such DROP statement")
    words.take("if", "exists")
    gone = words.relation()
    destroys = f"drops table {_shown(gone)}" if kind == "table" else None
    if kind == "trigger":
        # In a space of names of its own.
        gone = ObjectName(kind="other", name=gone.name, schema=gone.schema)
    return Insight(kind=f"DROP {kind.upper()}", transactional=True, touch=_objects(gone), destroys=destroys)


def _alter(words: Words, statement: Statement) -> Insight:
    words.take("alter")
    if not words.take("table"):
        return _unread(statement, "SQLite has no such ALTER statement")
    table = words.relation()
    touch, destroys = _objects(table), None
    if words.take("rename", "to"):
        touch = _objects(table, ObjectName(kind="relation", name=words.name(), schema=table.schema))
    elif words.take("drop"):
        words.take("column")
        destroys = f"drops column {_shown(table)}.{_quoted(words.name())}"
    return Insight(kind="ALTER TABLE", transactional=True, touch=touch, destroys=destroys)


def _shown(name: ObjectName) -> str:
    parts = (name.name,) if name.schema is None else (name.schema, name.name)
    return ".".join(_quoted(part) for part in parts)


def _quoted(part: str) -> str:
    return part if part.isidentifier() else '"' + part.replace('"', '""') + '"'


# Rows


def _select(words: Words, statement: Statement) -> Insight:
    return Insight(kind="SELECT", transactional=True, touch=_loaded(words, statement))


def _with(words: Words, statement: Statement) -> Insight:
    verb = words.skip_to("select", "insert", "replace", "update", "delete", "values")
    reading = _READINGS.get(verb, _select)
    return reading(words, statement)


def _insert(words: Words, statement: Statement) -> Insight:
    replaces = words.take_any("insert", "replace") == "replace"
    if words.take("or"):
        replaces = words.take_any(*_CONFLICT) == "replace"
    words.take("into")
    table = words.relation()
    replaces = replaces or words.holds("do", "update")
    destroys = f"overwrites rows of {_shown(table)} that are there already" if replaces else None
    return _changes("INSERT", table, words, statement, destroys)


def _update(words: Words, statement: Statement) -> Insight:
    words.take("update")
    if words.take("or"):
        words.take_any(*_CONFLICT)
    table = words.relation()
    return _changes("UPDATE", table, words, statement, f"overwrites values in {_shown(table)}")


def _delete(words: Words, statement: Statement) -> Insight:
    words.take("delete")
    words.take("from")
    table = words.relation()
    return _changes("DELETE", table, words, statement, f"deletes rows of {_shown(table)}")


def _changes(kind: str, table: ObjectName, words: Words, statement: Statement, destroys: str | None) -> Insight:
    touch = _loaded(words, statement)
    if table.name in _CATALOG:
        touch |= _everything(statement, f"writes to {table.name}, and parsing cannot see which objects that changes")
    return Insight(kind=kind, transactional=True, touch=touch, destroys=destroys)


def _loaded(words: Words, statement: Statement) -> Touch:
    """Functions of SQLite change no schema; the code of a loaded extension may."""
    if words.holds("load_extension", "("):
        unseen = f"line {statement.line}: load_extension() runs code that may change more than the schema"
        return _everything(statement, "load_extension() runs code that parsing cannot follow") | Touch(unseen=(unseen,))
    return Touch()


def _explain(words: Words, statement: Statement) -> Insight:
    return Insight(kind="EXPLAIN", transactional=True)


# The whole database


def _vacuum(words: Words, statement: Statement) -> Insight:
    # VACUUM INTO refuses a file that is there: a second run tells nothing of the first.
    effect = _UNKNOWN if "into" in words.texts else _HARMLESS
    return Insight(kind="VACUUM", transactional=False, effect=effect)


def _attach(words: Words, statement: Statement) -> Insight:
    return Insight(kind=words.peek().upper(), transactional=False, session=True, effect=_HARMLESS)


def _upkeep(words: Words, statement: Statement) -> Insight:
    return Insight(kind=words.peek().upper(), transactional=True)


_READINGS: dict[str, Reading] = {
    "begin": _begin,
    "commit": _commit,
    "end": _commit,
    "rollback": _rollback,
    "savepoint": _savepoint,
    "release": _savepoint,
    "create": _create,
    "drop": _drop,
    "alter": _alter,
    "select": _select,
    "values": _select,
    "with": _with,
    "insert": _insert,
    "replace": _insert,
    "update": _update,
    "delete": _delete,
    "explain": _explain,
    "vacuum": _vacuum,
    "attach": _attach,
    "detach": _attach,
    "analyze": _upkeep,
    "reindex": _upkeep,
    "pragma": inspect_pragma,
}
