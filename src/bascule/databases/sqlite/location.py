"""Where a SQLite database lies: reading ``sqlite:///…`` addresses and plain paths."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote

from bascule.errors import TargetUnreachable

SIDECAR_SUFFIX = ".bascule"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?=//)")
_OURS = re.compile(r"sqlite3?(\+\w+)?", re.IGNORECASE)
_TRUE = {"1", "on", "true", "yes"}
_FALSE = {"0", "off", "false", "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A database file and how its address asks for it to be opened."""

    path: Path
    """Absolute, links resolved: two names of one file must end up at one sidecar."""
    foreign_keys: bool | None = None
    """None: as SQLite was built."""
    read_only: bool = False

    @property
    def sidecar(self) -> Path:
        """The file beside the database that holds lease and journal."""
        return self.path.with_name(self.path.name + SIDECAR_SUFFIX)

    @property
    def url(self) -> str:
        """The address again, for people."""
        return f"sqlite:///{self.path}"


def locate(path_or_url: str) -> Location:
    """Read an address. Looks at no file, except to follow links.

    Raises:
        TargetUnreachable: code ``bad_address``; the message says how it should be written.
    """
    scheme = _SCHEME.match(path_or_url)
    if scheme is None:
        if path_or_url == ":memory:":
            raise _memory()
        return Location(path=_resolved(path_or_url, path_or_url))
    if not _OURS.fullmatch(scheme[1]):
        raise _bad(f"{scheme[1]}:// is not an address of a SQLite database.")
    rest, _, query = path_or_url[scheme.end() + 2 :].partition("?")
    host, slash, path = rest.partition("/")
    if host:
        # The host is repeated, nothing else: an address of another kind may carry a password before the @.
        where = unquote(host.rpartition("@")[2])
        raise _bad(f"The address names a host ({where}), but a SQLite database is a file on this machine.")
    if not slash or not path or path == ":memory:":
        raise _memory()
    options = _options(query)
    return Location(
        path=_resolved(unquote(path), path_or_url),
        foreign_keys=_flag("foreign_keys", options["foreign_keys"]) if "foreign_keys" in options else None,
        read_only=_mode(options["mode"]) if "mode" in options else False,
    )


def sqlite_uri(path: Path, mode: str) -> str:
    """The path as SQLite's own ``file:`` address, safe with any character in it."""
    return f"file:///{quote_from_bytes(os.fsencode(path)).lstrip('/')}?mode={mode}"


def _resolved(path: str, address: str) -> Path:
    if not path or "\0" in path:
        raise _bad(f"There is no usable file name in {address!r}.")
    if path.startswith("file:"):
        raise _bad("SQLite's own file: addresses are not taken.")
    return Path(os.path.realpath(path))


def _options(query: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in query.split("&") if part)
    options = {unquote(name): unquote(value) for name, _, value in pairs}
    for name in options:
        if name not in ("foreign_keys", "mode"):
            raise _bad(f"The address has a parameter {name!r}; known are foreign_keys (0 or 1) and mode (ro, rw, rwc).")
    return options


def _flag(name: str, value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise _bad(f"The address has {name}={value!r}; allowed are 0 and 1.")


def _mode(value: str) -> bool:
    if value not in ("ro", "rw", "rwc"):
        raise _bad(f"The address has mode={value!r}; allowed are ro, rw and rwc.")
    return value == "ro"


def _memory() -> TargetUnreachable:
    return TargetUnreachable(
        "The address names no file, which is SQLite's way of asking for a database in memory. Such a one ends with the "
        "connection that made it, so there is nothing to migrate.",
        code="bad_address",
        hint="Name a file: sqlite:///relative/path.db or sqlite:////absolute/path.db",
    )


def _bad(message: str) -> TargetUnreachable:
    return TargetUnreachable(
        message, code="bad_address", hint="Write sqlite:///relative/path.db or sqlite:////absolute/path.db"
    )
