"""By which names the server may be asked.

A page of a stranger can make its own name lead to this machine (DNS rebinding); a browser then takes the two for one
site. What it cannot do is send another ``Host`` than its own name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from bascule.errors import ConfigError

_NO_NAME = re.compile(r"[^a-z0-9._-]")
_PORTS = {"http": 80, "https": 443}


def names_in(text: str) -> frozenset[str]:
    """Names between commas, as a setting has them. Raises `ConfigError` for what no ``Host`` can be compared with."""
    names = frozenset(name for each in text.split(",") if (name := _plain(each)))
    wrong = sorted(name for name in names if _NO_NAME.search(name) and not _is_address(name))
    if wrong:
        raise ConfigError(
            f"MIGRATION_SERVER_HOSTS names {wrong[0]!a}, which is no name of a host.",
            code="config",
            hint="Give names alone, between commas: no scheme, no port, no wildcard.",
        )
    return names


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_known(host: str, names: Iterable[str]) -> bool:
    """Whether a ``Host`` is this machine's own, an address (which nobody can make lead elsewhere), or one of the
    names.
    """
    if any(char in host for char in "@/?#\\"):
        return False
    try:
        read = urlsplit(f"//{host}")
        name, _port = _plain(read.hostname or ""), read.port  # a port that is none raises
    except ValueError:
        return False
    if name == "localhost" or name in {_plain(each) for each in names}:
        return True
    return _is_address(name)


def same_origin(origin: str, scheme: str, host: str) -> bool:
    """Whether an ``Origin`` is the one of a page that was asked for by this scheme and ``Host``."""
    found = _parts(origin)
    return found is not None and found == _parts(f"{scheme}://{host}")


def _parts(address: str) -> tuple[str, str, int | None] | None:
    try:
        read = urlsplit(address)
        port = read.port
    except ValueError:
        return None
    if not read.hostname or read.path or read.query or read.fragment or "@" in read.netloc:
        return None
    return read.scheme, _plain(read.hostname), port if port is not None else _PORTS.get(read.scheme)


def _plain(name: str) -> str:
    return name.strip().strip("[]").rstrip(".").lower()
