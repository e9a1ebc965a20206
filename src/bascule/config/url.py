"""Addresses of databases: read, told apart, written for the driver, and shown without their secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bascule.errors import ConfigError

Dialect = Literal["postgresql", "sqlite"]

ALLOWED_FORMS = (
    "postgresql://user@host:5432/name, postgres://…, postgresql+driver://…, "
    "sqlite:///relative.db, sqlite:////absolute.db"
)
HIDDEN = "***"

_SCHEMES: dict[str, Dialect] = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite"}
_SCHEME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9.-]*)(?:\+(?P<driver>[A-Za-z0-9_-]+))?://")
_SECRET_PARAMETER = re.compile(r"pass|pwd|secret|token|key(?!word|fact|s_)", re.IGNORECASE)
# libpq has sslkey (the name of a file) and keepalives; neither is a secret.
_NOT_SECRET = ("sslkey", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "passfile")
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """An address, taken apart only as far as needed: what libpq understands is handed on as it was written."""

    dialect: Dialect
    driver: str = ""
    """What stood after ``+``; Bascule uses its own driver whatever it says."""
    user: str = ""
    password: str = ""
    host: str = ""
    """Host and port as written; several hosts are separated by commas. Empty: libpq decides."""
    database: str = ""
    """PostgreSQL: the database's name. SQLite: the file's path."""
    query: str = ""
    """Parameters as written, without the question mark; what they may be, the driver knows."""

    def __repr__(self) -> str:
        return f"DatabaseUrl({self.masked()})"

    def text(self, *, password: str | None = None) -> str:
        """The address for the driver, secrets included; `password` fills in where the address has none."""
        if self.dialect == "sqlite":
            return self.masked()
        return self._postgres(_quote(self.password or password or ""))

    def masked(self) -> str:
        """The address for people."""
        if self.dialect == "sqlite":
            return f"sqlite:///{_quote(self.database, safe='/')}" + (f"?{self.query}" if self.query else "")
        return self._postgres(HIDDEN if self.password else "", query=_masked_query(self.query))

    def _postgres(self, password: str, *, query: str | None = None) -> str:
        login = _quote(self.user) + (f":{password}" if password else "")
        parameters = self.query if query is None else query
        return (
            "postgresql://"
            + (f"{login}@" if login else "")
            + self.host
            + (f"/{_quote(self.database)}" if self.database else "")
            + (f"?{parameters}" if parameters else "")
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts inside it that must never be shown."""
        found = [self.password] if self.password else []
        for piece in self.query.split("&"):
            name, _, value = piece.partition("=")
            if value and _is_secret(name):
                found += [value, _unquote(value)]
        return tuple(dict.fromkeys(found))

    @property
    def has_password(self) -> bool:
        """A password stands in it, before the host or among the parameters."""
        return bool(self.password) or any(piece.startswith("password=") for piece in self.query.split("&"))


def parse_url(text: str, *, folder: Path) -> DatabaseUrl:
    """Read an address; a relative SQLite file counts from `folder`.

    Raises ConfigError with a sentence that holds nothing of the address beyond its scheme: whatever cannot be read
    might be a secret.
    """
    found = _SCHEME.match(text)
    if found is None:
        raise ConfigError("it is not an address with a scheme", hint=f"Write one of: {ALLOWED_FORMS}.")
    dialect = _SCHEMES.get(found["name"].lower())
    if dialect is None:
        raise ConfigError(f"the scheme {found['name']}:// is not known", hint=f"Write one of: {ALLOWED_FORMS}.")
    rest, driver = text[found.end() :], found["driver"] or ""
    if dialect == "sqlite":
        return _sqlite_url(rest, driver, folder)
    return _postgres_url(rest, driver)


def mask(text: str) -> str:
    """The text with the secrets of every address in it hidden. For messages that others composed."""
    if "://" not in text:
        return text
    return _URL_IN_TEXT.sub(lambda found: _mask_one(found.group()), text)


def _sqlite_url(rest: str, driver: str, folder: Path) -> DatabaseUrl:
    path, _, query = rest.partition("?")
    if not path.startswith("/"):
        raise ConfigError(
            "an SQLite address has three slashes before the file's name",
            hint="Write sqlite:///relative.db or sqlite:////absolute.db.",
        )
    name = _unquote(path[1:])
    if name in ("", ":memory:") or name.startswith("file:") or "\0" in name:
        raise ConfigError(
            "an SQLite address must name a file: what is kept in memory ends with the process",
            hint="Write sqlite:///relative.db or sqlite:////absolute.db.",
        )
    return DatabaseUrl(dialect="sqlite", driver=driver, database=str(folder / name), query=query)


def _postgres_url(rest: str, driver: str) -> DatabaseUrl:
    place, _, query = rest.partition("?")
    authority, _, database = place.partition("/")
    login, at, host = authority.rpartition("@")
    # libpq splits at the first of these characters, so that half a password would be looked up as a host name.
    if "@" in login or "@" in database or "/" in database or "#" in place:
        raise ConfigError(
            "it holds one of the characters @ / ? # where they separate its parts",
            hint="Percent-encode them in user, password and name: @ is %40, / is %2F, ? is %3F, # is %23, % is %25.",
        )
    user, _, password = login.partition(":") if at else ("", "", "")
    _check_hosts(host)
    return DatabaseUrl(
        dialect="postgresql",
        driver=driver,
        user=_unquote(user),
        password=_unquote(password),
        host=host,
        database=_unquote(database),
        query=_libpq_query(query, driver),
    )


def _check_hosts(hosts: str) -> None:
    for host in hosts.split(","):
        port = re.search(r":([^\]]*)\Z", host)
        if port and not re.fullmatch(r"[0-9]{0,5}", port[1]):
            raise ConfigError(
                "what follows the host's colon is not a port number",
                hint="Write postgresql://user@host:5432/name, and percent-encode @ / ? # and % in user and password.",
            )


def _libpq_query(query: str, driver: str) -> str:
    """Parameters as libpq wants them; asyncpg's word for its TLS mode is translated."""
    pieces = query.split("&") if query else []
    for piece in pieces:
        if "=" not in piece:
            raise ConfigError(
                "one of its parameters has no value",
                hint="Write ?name=value&name=value, and %26 for an ampersand in a value.",
            )
    if driver == "asyncpg":
        pieces = [f"sslmode={piece[4:]}" if piece.startswith("ssl=") else piece for piece in pieces]
    return "&".join(pieces)


def _is_secret(parameter: str) -> bool:
    return bool(_SECRET_PARAMETER.search(parameter)) and parameter not in _NOT_SECRET


def _masked_query(query: str) -> str:
    pieces = []
    for piece in query.split("&"):
        name, equals, _ = piece.partition("=")
        pieces.append(f"{name}={HIDDEN}" if equals and _is_secret(name) else piece)
    return "&".join(pieces)


def _mask_one(url: str) -> str:
    scheme, _, rest = url.partition("://")
    place, question, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    unnamed = query and any("=" not in piece for piece in query.split("&"))
    if (
        unnamed
        or "@" in path
        or "@" in authority.rpartition("@")[0]
        or (re.search(r":[^\]0-9,]", authority) and "@" not in authority)
    ):
        # Somebody forgot to percent-encode: everything up to the last @ may be the password.
        _, at, behind = rest.rpartition("@")
        return f"{scheme}://{HIDDEN}" + (f"@{behind}" if at else "")
    login, at, host = authority.rpartition("@")
    user, colon, _ = login.partition(":")
    shown = f"{user}{colon}{HIDDEN if colon else ''}{at}{host}{slash}{path}"
    return f"{scheme}://{shown}{question}{_masked_query(query)}"


def _quote(text: str, *, safe: str = "") -> str:
    from urllib.parse import quote

    return quote(text, safe=safe)


def _unquote(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)
