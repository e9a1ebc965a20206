"""From a job to the text that is sent: pure, no connection.

One job is one message of the simple protocol where that is possible: BEGIN, fence and limits, settings, statements,
ledger and facts, COMMIT, and what puts the session back in order. Each statement of it gets one result, in order; a
`Message` knows what stands at which place.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from bascule.domain.history import Fact
from bascule.domain.statement import Statement
from bascule.ports.database import Job, WorkFailed

LARGEST: Final = 64 << 20
"""Characters in one message; a larger job is sent in pieces."""

When = Literal["first", "before", "after", "last"]
"""Where, among a job's statements, something of ours is done."""

OURS: Final = -1
LEAVE: Final = -2
COMMIT: Final = -3
TAIL: Final = -4
"""What stands at a place of a message that is none of the script's statements."""

BACK_TO_OURSELVES: Final = "RESET SESSION AUTHORIZATION;RESET ROLE;"
CLEAR_TRACES: Final = (
    "DISCARD TEMP;",
    "DISCARD SEQUENCES;",
    "CLOSE ALL;",
    "UNLISTEN *;",
    "SELECT pg_catalog.pg_advisory_unlock_all();",
)
"""Removes what RESET ALL does not. Not DISCARD ALL, which would throw away the plans of our functions as well, and
not DEALLOCATE ALL: behind a pooler that would take other clients' prepared statements.
"""
_ROLES = re.compile(r"\b(?:role|authorization|set_config)\b", re.IGNORECASE)
_LASTING = re.compile(
    r"\b(?:temp|temporary|pg_temp\w*|prepare|listen|hold|load|discard|do|call|execute|pg_advisory_lock\w*|pg_try_advisory_lock\w*|dblink\w*)\b",
    re.IGNORECASE,
)
_DEFINES = re.compile(r"(?:create|alter|drop|comment|grant|revoke|truncate|lock)\s+(?!extension\b)", re.IGNORECASE)
_RUNS = re.compile(r"\b(?:select|execute|set_config|values|with)\b", re.IGNORECASE)
_TRANSACTION_MODES = re.compile(r"set\s+(?:local\s+)?transaction\b", re.IGNORECASE)
# The second brings back what the role or the database has for it, under which our splitting would be wrong.
_RESETS_ALL = re.compile(
    r"\breset\s+(?:all|standard_conforming_strings)\b|\bstandard_conforming_strings\s*(?:=|\bto\b)\s*default\b",
    re.IGNORECASE,
)
# How the server cuts a message into statements is decided by the settings at its start, so a script that changes
# these two goes statement by statement. pg_dump writes them with the values they have anyway.
_CHANGES_LEXER = re.compile(
    r"\s*(?:set\s+(?:session\s+|local\s+)?|select\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(\s*')"
    r"(?:standard_conforming_strings|backslash_quote|client_encoding|names)\b'?+\s*+(?:=|,|to\b)?+\s*+(?!'?(?:on|true|utf-?8|unicode)\b)",
    re.IGNORECASE,
)
_ENDS_TRANSACTION = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:commit|end|abort|prepare\s+transaction|rollback(?!\s+(?:(?:work|transaction)\s+)?to\b))\b",
    re.IGNORECASE | re.DOTALL,
)
_NUL_IN_JSON = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


class Message:
    """Text to send, and what each place of it is."""

    __slots__ = ("_indexes", "_starts", "parts", "size", "slots")

    def __init__(self, comment: str = "") -> None:
        self.parts: list[str] = [comment]
        self.size = len(comment)
        self.slots: list[int] = []
        """By place: a statement's index in the job, or one of `OURS`, `LEAVE`, `COMMIT`, `TAIL`."""
        self._starts: list[int] = []
        self._indexes: list[tuple[int, int]] = []

    def own(self, text: str, *slots: int) -> None:
        """Add statements of ours, each with its semicolon."""
        self.parts.append(text)
        self.size += len(text)
        self.slots += slots

    def add(self, text: str, index: int) -> None:
        """Add a statement of the script. Its text may end in a comment to the end of the line."""
        self._starts.append(self.size)
        self._indexes.append((index, len(text)))
        self.parts += (text, "\n;")
        self.size += len(text) + 2
        self.slots.append(index)

    def encode(self, encoding: str = "utf-8") -> bytes:
        """The bytes to send."""
        return "".join(self.parts).encode(encoding)

    def locate(self, position: int) -> tuple[int, int] | None:
        """(statement index, offset in its text) of a character of the message, counted from 0; None where it is not
        the script's.
        """
        found = bisect_right(self._starts, position) - 1
        if found < 0:
            return None
        index, length = self._indexes[found]
        offset = position - self._starts[found]
        # The server calls the semicolon behind a statement its end.
        return (index, min(offset, length)) if offset <= length + 1 else None


class Names:
    """What a target puts into every message: its functions, limits, and what puts the session back in order."""

    __slots__ = (
        "_ascii_only",
        "_enter",
        "_keep",
        "_leave",
        "_limits",
        "_limits_alone",
        "_path",
        "schema",
        "tag",
        "tail",
    )

    def __init__(
        self,
        *,
        schema: str,
        tag: str,
        limits: Sequence[str | None],
        search_path: str | None,
        tail: Sequence[str],
        ascii_only: bool,
    ) -> None:
        """`schema` is quoted. `limits`: what `enter` takes besides the token. `search_path` is made for the length of
        the transaction; None: the session's is right. `tail`: statements, each with its semicolon. `ascii_only`: see
        `facts_json`.
        """
        self._ascii_only = ascii_only
        self.schema = schema
        self.tag = tag
        self.tail = tail
        self._enter = f"SELECT {schema}.enter("
        self._limits = "".join("," + literal(limit) for limit in limits)
        self._limits_alone = _limits_alone(limits)
        self._path = search_path and f"SELECT pg_catalog.set_config('search_path',{literal(search_path)},true);"
        self._keep = f"SELECT {schema}.keep("
        self._leave = f"SELECT {schema}.leave("

    def comment(self, run_id: str) -> str:
        """What makes a message known in pg_stat_activity, also behind a pooler."""
        return f"/* bascule {self.tag} run {run_id.replace('*/', '* /').replace('/*', '/ *')} */ "

    def again(self, message: Message, token: int) -> None:
        """Limits and search path once more, after a script has put all settings back. Calls nothing of Bascule's own,
        to which the role that the script has taken need have no right: the fence of the start still holds.
        """
        message.own(self._limits_alone, OURS)
        if self._path:
            message.own(self._path, OURS)

    def _enter_it(self, message: Message, token: int) -> None:
        message.own(f"{self._enter}{token}{self._limits});", OURS)
        if self._path:
            message.own(self._path, OURS)

    def open(self, message: Message, job: Job, token: int, first: Sequence[Statement]) -> None:
        """BEGIN, limits, fence, settings, snapshot of before. `first`: SET TRANSACTION statements, which must come
        before any query.
        """
        message.own("BEGIN;", OURS)
        for statement in first:
            message.add(statement.text, _index_of(job, statement))
        self._enter_it(message, token)
        # The look belongs behind the settings, for the search path, but a role that they set need not have a right to
        # it. (It lists the names for every path that the script sets.)
        early = any(map(_ROLES.search, job.settings))
        if early:
            self._look(message, job)
        for setting in job.settings:
            message.own(setting + "\n;", OURS)
        if any(map(_RESETS_ALL.search, job.settings)):
            self.again(message, token)
        if not early:
            self._look(message, job)
        self._calls(message, job, "first")

    def around(self, message: Message, job: Job, index: int, when: Literal["before", "after"]) -> None:
        """What is kept in front of a statement of the job, and what is looked at behind it."""
        self._calls(message, job, when, index)

    def _calls(self, message: Message, job: Job, when: When, index: int = 0) -> None:
        if job.preimages is not None:
            texts = _preimage_calls(self.schema, job, when, index)
            message.own("".join(texts), *(OURS,) * len(texts))

    def _look(self, message: Message, job: Job) -> None:
        """The look of before, if the job asks for one."""
        if job.before is not None:
            from bascule.databases.postgres.catalog import touch_json

            message.own(f"{self._keep}{literal(job.migration)},{literal(touch_json(job.before))});", OURS)

    def close(self, message: Message, job: Job, *, facts: bool, transaction: str | None, traces: bool) -> None:
        """Mark, ledger, facts, COMMIT, tail. `transaction`: its number where the message cannot remember it itself.
        `traces`: clear them too.
        """
        if changes_role(job):
            message.own(BACK_TO_OURSELVES, OURS, OURS)
        self._calls(message, job, "last")
        told = facts_json(job.facts, ascii_only=self._ascii_only) if facts else []
        arguments = applied_arguments(job, told) if transaction is None else None
        if arguments is None:
            work, script = work_json(job, told)
            arguments = f"{literal(work)},{literal(script)},{literal(transaction)}"
        message.own(f"{self._leave}{arguments});COMMIT;", LEAVE, COMMIT)
        tail = [*self.tail] if transaction is not None or changes_settings(job) else []
        if traces:
            tail += CLEAR_TRACES
        message.own("".join(tail), *(TAIL,) * len(tail))


def _preimage_calls(schema: str, job: Job, when: When, index: int) -> list[str]:
    """What is kept or put back at a place of the job's message: statements, each with its semicolon."""
    work = job.preimages
    assert work is not None, "asked only of jobs that have something to keep or to put back"
    migration, run = literal(job.migration), literal(job.run_id)
    if when == "first":
        looks = [f"SELECT {schema}.preimage_look({migration});"] if work.look else []
        return [*_row_calls(schema, job, when), *looks]
    if when == "last":
        back = [f"SELECT {schema}.preimage_back({migration},{run},true,true);"] if work.put_back else []
        return [*back, *_row_calls(schema, job, when)]
    mine = [keep for keep in work.keeps if keep.index == index]
    if when == "before":
        from bascule.domain.preimage import BUDGET

        described = (literal(to_json(keep.as_dict())) for keep in mine)
        return [f"SELECT {schema}.preimage_keep({migration},{run},{keep},{BUDGET});" for keep in described]
    texts = []
    if any(keep.kind in ("update", "retype", "delete") and keep.why is None for keep in mine):
        texts.append(f"SELECT {schema}.preimage_after({migration},{run},{mine[0].ordinal});")
    if index in work.tries:
        texts.append(f"SELECT {schema}.preimage_back({migration},{run},false,{str(work.tables).lower()});")
    texts += (f"{text};" for text in work.then.get(index, ()))
    return texts


def _row_calls(schema: str, job: Job, when: Literal["first", "last"]) -> list[str]:
    """The looks at rows at the beginning and at the end of a job."""
    work = job.preimages.rows if job.preimages is not None else None
    if work is None:
        return []
    from bascule.domain.rowlook import BOUND, ROOM

    migration, run = literal(job.migration), literal(job.run_id)
    code = str(work.code).lower()
    if when == "first":
        if not work.first:
            begin = ""
        elif job.direction == "up":
            tables = f"{literal(to_json(work.tables))},{str(work.follow).lower()},{str(work.cascades).lower()},{code}"
            begin = f"rows_before({migration},{run},{tables},{BOUND},{ROOM})"
        else:
            begin = f"rows_begun({migration},{BOUND})"
        return [f"SELECT {schema}.{each};" for each in (begin, "rows_there()") if each]
    if job.direction == "up":
        flags = ",".join(str(flag).lower() for flag in (work.code, work.carries, work.last))
        return [f"SELECT {schema}.rows_after({migration},{run},{flags},{BOUND});"]
    return [f"SELECT {schema}.rows_ended({migration},{run},{code},{BOUND});"] if work.last else []


def _limits_alone(limits: Sequence[str | None]) -> str:
    """What the function `enter` sets, as a statement that any role may send. `limits`: as `enter` takes them."""
    names = (
        "lock_timeout",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "client_connection_check_interval",
    )
    pairs = [*zip(names, limits, strict=True), ("standard_conforming_strings", "on")]
    made = [f"pg_catalog.set_config('{name}',{literal(value)},true)" for name, value in pairs if value is not None]
    made.append("pg_catalog.set_config('bascule.transaction',pg_catalog.pg_current_xact_id()::text,true)")
    return f"SELECT {','.join(made)};"


def whole(names: Names, job: Job, token: int, *, facts: bool, traces: bool) -> Message:
    """The job in one message. `facts`: its facts ride in it; `traces`: what it may leave in the session is cleared at
    the end.
    """
    message = Message(names.comment(job.run_id))
    first = modes_of(job)
    names.open(message, job, token, first)
    if facts and job.followed:
        # Not where the journal is kept elsewhere: it could know of a commit that a crash has lost.
        message.own("SET LOCAL synchronous_commit=off;", OURS)
    for index in range(len(first), len(job.statements)):
        names.around(message, job, index, "before")
        message.add(job.statements[index].text, index)
        names.around(message, job, index, "after")
    names.close(message, job, facts=facts, transaction=None, traces=traces)
    return message


def modes_of(job: Job) -> tuple[Statement, ...]:
    """Leading SET TRANSACTION statements."""
    count = 0
    for statement in job.statements:
        if not _TRANSACTION_MODES.match(statement.text):
            break
        count += 1
    return job.statements[:count]


def needs_pieces(job: Job) -> bool:
    """The job cannot go as one message."""
    size = 0
    for statement in job.statements:
        size += len(statement.text)
        if _CHANGES_LEXER.match(statement.text) or _RESETS_ALL.search(statement.text):
            return True
    return size > LARGEST or any(map(_CHANGES_LEXER.match, job.settings))


def resets_all(sql: str) -> bool:
    """It puts our limits back to the session's."""
    return _RESETS_ALL.search(sql) is not None


def changes_role(job: Job) -> bool:
    """It may leave us as a role that has no rights on Bascule's schema."""
    return any(_ROLES.search(statement.text) for statement in job.statements) or any(map(_ROLES.search, job.settings))


def changes_settings(job: Job) -> bool:
    """It may leave other session settings behind. Only definitions that run no query surely do not."""
    if job.settings:
        return True
    return any(not _DEFINES.match(each.text) or _RUNS.search(each.text) for each in job.statements)


def leaves_traces(statements: Iterable[Statement]) -> bool:
    """It may leave in the session what RESET ALL does not clear: temporary tables, prepared statements, cursors,
    LISTEN.
    """
    return any(_LASTING.search(statement.text) for statement in statements)


def check_texts(statements: Sequence[Statement]) -> None:
    """Raises `WorkFailed` for what must not be sent: a NUL character, and the end of a transaction that is not the
    script's to end. (`leave` notices an end that gets past this; what was committed then stays.)
    """
    for index, statement in enumerate(statements):
        check_characters(statement, index)
        if _ENDS_TRANSACTION.match(statement.text):
            raise WorkFailed(
                "error",
                "the script would end the transaction that it runs in",
                statement=index,
                position=0,
                hint="Take COMMIT and ROLLBACK out of the script, or turn its surrounding transaction off.",
            )


def check_characters(statement: Statement, index: int) -> None:
    """Raises `WorkFailed` for a NUL character, at which the protocol would end the message."""
    for text in (statement.text, statement.copy_data):
        if text is not None and "\0" in text:
            position = text.index("\0") if text is statement.text else None
            message = "the statement has a NUL character, which PostgreSQL cannot take"
            raise WorkFailed("error", message, statement=index, position=position)


def literal(text: str | None) -> str:
    """A string constant that reads the same whatever standard_conforming_strings is."""
    if text is None:
        return "NULL"
    if "\\" in text:
        return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted name."""
    return '"' + name.replace('"', '""') + '"'


def facts_json(facts: Iterable[Fact], *, ascii_only: bool) -> list[dict[str, Any]]:
    """What the functions `append` and `leave` are given. `ascii_only`: the server's encoding may not have every
    character of our sentences and of what they quote, and nothing may fail for the sake of a quotation mark.
    """
    return [
        {
            "kind": fact.kind,
            "run_id": fact.run_id,
            "migration": fact.migration,
            "direction": fact.direction,
            "step": fact.step,
            "data": _ascii(dict(fact.data)) if ascii_only else dict(fact.data),
        }
        for fact in facts
    ]


def applied_arguments(job: Job, facts: Sequence[Mapping[str, Any]]) -> str | None:
    """What the shorter form of the function `leave` is given; None where the job is not as simple as that."""
    entry = job.ledger.entry if job.ledger is not None else None
    if entry is None or entry.position or entry.name != job.migration or entry.run_id != job.run_id:
        return None
    if job.mark is not None or job.clear_marks or job.forget_before or len(facts) > 1:
        return None
    kind = data = None
    if facts:
        fact = facts[0]
        about = (fact["run_id"], fact["migration"], fact["direction"], fact["step"])
        if about != (job.run_id, job.migration, job.direction, None):
            return None
        kind, data = fact["kind"], to_json(fact["data"]) if fact["data"] else "{}"
    words = (entry.exact_hash, entry.semantic_hash, entry.parser, entry.how)
    return ",".join(
        (
            *map(literal, (job.migration, job.run_id, job.direction, entry.version)),
            str(entry.execution_ms or "NULL"),
            *map(literal, words),
            "true" if entry.repeatable else "false",
            *map(literal, (entry.script or None, kind, data)),
        )
    )


def work_json(job: Job, facts: Sequence[Mapping[str, Any]]) -> tuple[str, str | None]:
    """What the function `leave` is given: the bookkeeping of a job with `facts`, and the script's text."""
    work: dict[str, Any] = {"run": job.run_id, "migration": job.migration, "direction": job.direction}
    script = None
    if job.mark is not None:
        work["step"], work["digest"] = job.mark.step, job.mark.digest
    if job.clear_marks:
        work["clear"] = True
    if job.forget_before:
        work["forget"] = True
    if job.ledger is not None:
        work["remove"] = job.ledger.remove
        if (entry := job.ledger.entry) is not None:
            script = entry.script or None
            work["entry"] = {
                "name": entry.name,
                "version": entry.version,
                "position": entry.position or None,
                "run_id": entry.run_id,
                "applied_at": entry.applied_at.isoformat() if entry.position else None,
                "execution_ms": entry.execution_ms or None,
                "exact_hash": entry.exact_hash,
                "semantic_hash": entry.semantic_hash,
                "parser": entry.parser,
                "how": entry.how,
                "repeatable": entry.repeatable,
            }
    if facts:
        work["facts"] = facts
    return to_json(work), script


def to_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """JSON that the server's jsonb takes: without NUL characters and halves of surrogate pairs."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    if "\\u0000" in text:
        text = _NUL_IN_JSON.sub(lambda match: match[1] + "\\ufffd", text)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def _ascii(data: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(data, ensure_ascii=False, default=str).encode("ascii", "replace"))


def _index_of(job: Job, statement: Statement) -> int:
    return next(index for index, each in enumerate(job.statements) if each is statement)
