"""The one door for PostgreSQL's errors: SQLSTATEs, what they mean for the work at hand, and failed connections in
words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from bascule.errors import BasculeError, Refused, TargetUnreachable
from bascule.ports.database import FailureKind, WorkFailed

if TYPE_CHECKING:
    import psycopg
    from psycopg.errors import Diagnostic

FENCE: Final = "ZB001"
"""Raised by our own function: the lease is no longer ours."""
NOT_OURS: Final = "ZB002"
"""Raised by our own function: the script ended our transaction."""

_KINDS: Mapping[str, FailureKind] = {
    "55P03": "lock_timeout",
    "40P01": "deadlock",
    "40001": "serialization",
    "57014": "timeout",  # or on request: who asked knows it
    "53100": "full",
    FENCE: "fence",
    # The server ended the session.
    "25P03": "lost",  # idle in transaction for too long
    "25P04": "lost",  # transaction_timeout
    "57P01": "lost",
    "57P02": "lost",
    "57P03": "lost",
    "57P05": "lost",  # idle for too long
}
AN_AUTHORS: Final = -1
"""In the place of a statement's number: an author's function sent it, so no number of a script's is known."""

# The statement that writes down what became of a script, and what must have happened for it to fail so.
_AFTERWARDS = re.compile(r"\.leave\(")
_SHUT = re.compile(r"permission denied for (?:schema|function leave)\b")
_OWN_FUNCTION = re.compile(r"^PL/pgSQL function \S+\.(?:enter|keep|leave|shape)\(", re.MULTILINE)
_GONE = (
    "what Bascule keeps in this database is not as it was: the script dropped or altered it (DROP SCHEMA, ALTER TABLE)",
    "Leave Bascule's schema out of the script: the ledger is in it.",
)
_CAUSES: Mapping[str, tuple[str, str]] = {
    # SQLSTATE: what the script did, what to do about it
    "25006": (
        "the script made its transaction read-only (SET TRANSACTION READ ONLY, SET default_transaction_read_only)",
        "Take that out of the script: the ledger row is written in the same transaction.",
    ),
    "42501": (
        "the rights on what Bascule keeps in this database are gone: the script took them away (REVOKE, ALTER … OWNER)",
        "Take that out of the script, or do it by hand as an administrator.",
    ),
    "3F000": _GONE,
    "42P01": _GONE,
    "42703": _GONE,
    "42883": _GONE,
    "55000": _GONE,
}
_BY_REQUEST = re.compile("user request|conflict with recovery")

# A server in another language than English keeps its own words and gets the code "unreachable": libpq hands out no
# SQLSTATE for a connection that failed.
_REFUSALS: tuple[tuple[str, str, str], ...] = (
    # what the server or libpq says, code, what to do
    (
        "password authentication failed|no password supplied|SASL authentication failed|authentication failed",
        "wrong_password",
        "Check user and password (also PGPASSWORD, ~/.pgpass and the password command).",
    ),
    ("role .* does not exist", "unknown_user", "Check the user in the address, or create the role."),
    (
        "database .* does not exist|no such database",
        "unknown_database",
        "Check the name after the last / of the address, or create the database first.",
    ),
    (
        "too many clients|remaining connection slots|too many connections|no more connections allowed",
        "too_many_connections",
        "Every connection the server allows is taken. Close some, raise max_connections, or go through a pooler.",
    ),
    (
        "the database system is |not yet accepting connections|server login has been failing|pgbouncer cannot connect",
        "not_ready",
        "The server is starting, stopping or recovering. Try again in a moment.",
    ),
    (
        "no pg_hba.conf entry|pg_hba.conf rejects",
        "not_admitted",
        "The server's pg_hba.conf does not let this user in from here.",
    ),
    ("certificate|SSL|TLS", "tls", "Check sslmode and the certificates."),
    (
        "could not translate host name|Name or service not known|failed to resolve host|getaddrinfo",
        "unknown_host",
        "Check the host name in the address.",
    ),
    (
        "invalid (URI|connection option|percent-encoded|integer value|port|sslmode)|missing .=|unterminated quoted",
        "bad_address",
        "Write postgresql://user:password@host:5432/database, special characters as %XX.",
    ),
)
_FUNCTION = re.compile(r"^PL/\w+ (?:function )?(\S.*?\)|inline_code_block)", re.MULTILINE)
"""In what a server says of where an error was, innermost first."""
_WORTH_WAITING = ("too_many_connections", "not_ready")


def kind_of(sqlstate: str, message: str = "") -> FailureKind:
    """What an error of the server means for a job."""
    if sqlstate == "57014" and _BY_REQUEST.search(message):
        return "cancelled"
    if sqlstate.startswith("08"):
        return "lost"
    return _KINDS.get(sqlstate, "error")


def work_failed(
    told: Diagnostic,
    *,
    kind: FailureKind | None = None,
    words: str | None = None,
    statement: int | None = AN_AUTHORS,
    position: int | None = None,
    blockers: tuple[str, ...] = (),
) -> WorkFailed:
    """What the server told, as the ports know it. The caller raises it from the driver's error. `words`: where we know
    better than the server why. `statement`: its number, None where it is one of Bascule's own.
    """
    sqlstate = told.sqlstate or ""
    message = told.message_primary or "the server gave no reason"
    context, hint = told.context or "", ""
    if sqlstate == NOT_OURS:
        hint = "Take COMMIT and ROLLBACK out of the script, or turn its surrounding transaction off."
    cause = _cause(sqlstate, message, context) if statement is None else None
    if cause is not None:
        words, hint = words or f"{cause[0]}. The server says: {message}", cause[1]
    if statement is None and _OWN_FUNCTION.search(context):
        context = ""  # it would show SQL that nobody but us has written
    return WorkFailed(
        kind or kind_of(sqlstate, message),
        words or message,
        statement=None if statement == AN_AUTHORS else statement,
        position=position,
        sqlstate=sqlstate,
        detail=told.message_detail or "",
        hint=hint,
        server_hint="" if cause is not None else told.message_hint or "",
        context=context,
        blockers=blockers,
    )


def _cause(sqlstate: str, message: str, context: str) -> tuple[str, str] | None:
    """What a script did that Bascule's own statement after it fails; None where it was something else."""
    afterwards = _AFTERWARDS.search(context) or _AFTERWARDS.search(message)
    # Where the schema itself cannot be had the server names no function; the statement before the script had it.
    of_the_schema = not context and (sqlstate == "3F000" or (sqlstate == "42501" and _SHUT.search(message)))
    return _CAUSES.get(sqlstate) if afterwards or of_the_schema else None


def driver_failed(exc: psycopg.Error) -> WorkFailed:
    """What psycopg raised, as the ports know it."""
    if exc.sqlstate:
        return work_failed(exc.diag)
    import psycopg

    lost = isinstance(exc, psycopg.OperationalError)
    return WorkFailed("lost" if lost else "error", _plain(str(exc)))


def connection_lost(exc: BaseException | None = None) -> WorkFailed:
    """The connection broke while the server was at work."""
    return WorkFailed("lost", _plain(str(exc)) if exc and str(exc) else "the connection to the server was lost")


def code_of_refusal(words: str) -> str:
    """Why a connection was refused, for machines: a code such as ``wrong_password``; ``unreachable`` when it is none
    of the known.
    """
    return next((code for pattern, code, _ in _REFUSALS if re.search(pattern, words)), "unreachable")


def is_worth_waiting(code: str) -> bool:
    """The same connection may succeed a moment later."""
    return code in _WORTH_WAITING


def unreachable(words: str, *, where: str, user: str = "") -> TargetUnreachable:
    """A connection that failed. `words` are the driver's, already without secrets."""
    code = code_of_refusal(words)
    hints = {known: hint for _, known, hint in _REFUSALS}
    hint = hints.get(
        code, "Check that the server runs, that the address is right, and that a firewall lets you through."
    )
    who = f" as {user}" if user else ""
    return TargetUnreachable(
        f"No connection to PostgreSQL at {where}{who}: {_plain(words)}.",
        code=code,
        hint=hint,
        details={"location": where},
    )


def missing_driver(exc: ImportError) -> TargetUnreachable:
    """psycopg, or the libpq under it, is not there."""
    return TargetUnreachable(
        f"PostgreSQL needs the driver psycopg, which cannot be loaded: {exc}.",
        code="missing_driver",
        hint="pip install 'bascule[postgres]'",
    )


def refusal(exc: psycopg.Error, *, schema: str, user: str, database: str, doing: str) -> BasculeError:
    """An error while Bascule worked on what it keeps itself. `doing` goes on after "Bascule could not"."""
    sqlstate, words = exc.sqlstate or "", _plain(exc.diag.message_primary or str(exc))
    message = f"Bascule could not {doing}: {words}."
    if sqlstate == "42501":
        return Refused(message, code="no_rights", hint=_grants(schema, user, database))
    if sqlstate == "25006":
        return Refused(
            message,
            code="read_only",
            hint="This is a standby, or the role or database is set to default_transaction_read_only. "
            "Use the primary, or a role that may write.",
        )
    if (function := _foreign_function(exc, schema)) is not None:
        return Refused(
            message,
            code="database_code_failed",
            hint=f"It is the database's own function {function} that failed: an event trigger or a trigger calls it. "
            "What was begun was undone. Bascule works with the search_path pg_catalog: write the names in that "
            f"function with their schemas, or fix its own: ALTER FUNCTION {function} SET search_path = …",
            details={"function": function},
        )
    if sqlstate in ("42P01", "42883", "3F000", "42703"):
        return Refused(
            message,
            code="memory_damaged",
            hint=f"The schema {schema} was changed by somebody else. Restore it from a backup; do not drop it: "
            "it holds the ledger.",
        )
    if sqlstate == "53100":
        return Refused(message, code="disk_full", hint="Make room on the server, then run again.")
    return Refused(message, hint="Nothing was started. Look at the server's words, then run again.")


def _foreign_function(exc: psycopg.Error, schema: str) -> str | None:
    """The function in which it failed, where that is none of Bascule's; None where it failed in none."""
    innermost = _FUNCTION.search(exc.diag.context or "")
    if innermost is None or innermost[1].startswith((f"{schema}.", f'"{schema}".', "inline_code_block", "pg_temp")):
        return None
    return innermost[1]


def _grants(schema: str, user: str, database: str) -> str:
    there = f'IN SCHEMA "{schema}" TO "{user}"'
    return (
        f"The role {user} needs rights that an owner can give. To let it create Bascule's schema: "
        f'GRANT CREATE ON DATABASE "{database}" TO "{user}". To let it use one that is there, make it a member of the '
        f'owner (GRANT owner TO "{user}"), or GRANT USAGE ON SCHEMA "{schema}" TO "{user}", '
        f"GRANT ALL ON ALL TABLES {there}, GRANT ALL ON ALL SEQUENCES {there}, GRANT ALL ON ALL FUNCTIONS {there}."
    )


def _plain(words: str) -> str:
    """One line, without the driver's and the server's prefixes and the final stop."""
    line = " ".join(part.strip() for part in words.splitlines() if part.strip())
    line = re.sub(
        r"^(connection failed|connection is bad|consuming input failed|sending query failed[^:]*): ", "", line
    )
    return line.replace("FATAL:  ", "").replace("ERROR:  ", "").rstrip(".")
