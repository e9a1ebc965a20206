"""Addresses of a PostgreSQL database: reading them, naming them without credentials, and keeping secrets out of
messages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from bascule.errors import TargetUnreachable

_SCHEME = re.compile(r"(postgres|postgresql)(\+\w+)?://", re.IGNORECASE)
_FOREIGN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LOGIN = re.compile(r"//([^/?#]*)@")
_IN_QUERY = re.compile(r"[?&](?:password|sslpassword|passfile)=([^&#]*)")
_IN_WORDS = re.compile(r"\b(?:password|sslpassword)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))")
_LONGEST_NAME = 63


def libpq_address(url: str) -> str:
    """The address as libpq reads it: ``postgresql+driver://`` and ``postgres://`` become ``postgresql://``;
    ``key=value`` words and an empty text (everything from PG* and the service file) stay.

    Raises:
        TargetUnreachable: code ``bad_address``; it is of another kind, or its password is not written as URLs want
        it.
    """
    scheme = _SCHEME.match(url)
    if scheme is None:
        if foreign := _FOREIGN.match(url):
            raise _bad(f"{foreign[1]}:// is not an address of a PostgreSQL database.")
        return url
    rest = url[scheme.end() :]
    if rest.partition("/")[0].count("@") > 1:
        # libpq would take what follows the first @ for the host, and name half of the password in its error.
        raise _bad("The address has more than one @ before the database name: write an @ in a password as %40.")
    return "postgresql://" + rest


def secrets_of(url: str) -> tuple[str, ...]:
    """Every spelling of a password that the address holds."""
    found: list[str] = []
    if login := _LOGIN.search(url):
        found.append(login[1].partition(":")[2])
    found += (match[1] for match in _IN_QUERY.finditer(url))
    found += (match[1] or match[2] or "" for match in _IN_WORDS.finditer(url))
    spellings = {spelling for secret in found for spelling in (secret, unquote(secret))}
    return tuple(sorted((spelling for spelling in spellings if spelling), key=len, reverse=True))


def without_secrets(text: str, url: str) -> str:
    """The text with every password of the address replaced."""
    for secret in secrets_of(url):
        text = text.replace(secret, "***")
    return text


def place(parameters: Mapping[str, Any]) -> str:
    """``host:port/database`` of connection parameters, with libpq's environment variables and defaults; never a
    password.
    """
    service = parameters.get("service") or os.environ.get("PGSERVICE")
    if service and "host" not in parameters:
        return f"service {service}"
    host = parameters.get("host") or parameters.get("hostaddr") or os.environ.get("PGHOST") or "local socket"
    port = parameters.get("port") or os.environ.get("PGPORT") or "5432"
    database = parameters.get("dbname") or os.environ.get("PGDATABASE") or parameters.get("user") or ""
    return f"{host}:{port}/{database}".rstrip("/")


def tagged_name(name: str, tag: str) -> str:
    """An application name that ends with a tag, within the server's limit of 63 bytes."""
    room = _LONGEST_NAME - len(tag) - 1
    return f"{name.encode()[:room].decode(errors='ignore')} {tag}"


def _bad(message: str) -> TargetUnreachable:
    return TargetUnreachable(
        message,
        code="bad_address",
        hint="Write postgresql://user:password@host:5432/database, special characters as %XX.",
    )
