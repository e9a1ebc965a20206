"""Who asks and how, where proxies stand in front: as the outermost one that is trusted has seen it.

Each proxy adds whom it saw at the right end of ``X-Forwarded-For``. Of its entries only the last ones, as many as there
are trusted proxies, were written by these; what stands further to the left is whatever the client liked to send.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope


def seen_through(scope: Scope, proxies: int) -> Scope:
    """The request with ``client`` and ``scheme`` as the outermost of so many proxies saw them. What it did not say, or
    says in no way that can be read, is as it came.
    """
    headers = Headers(scope=scope)
    told: dict[str, Any] = {}
    address = _address(_outermost(headers, "x-forwarded-for", proxies))
    if address is not None:
        told["client"] = (address, 0)
    scheme = _outermost(headers, "x-forwarded-proto", proxies).lower()
    if scheme in ("http", "https"):
        told["scheme"] = scheme
    return {**scope, **told}


def _outermost(headers: Headers, name: str, proxies: int) -> str:
    entries = [entry.strip() for line in headers.getlist(name) for entry in line.split(",")]
    # Fewer than there are proxies: the request came in behind the outer ones, and all entries are of the others.
    return entries[-min(proxies, len(entries))] if entries else ""


def _address(text: str) -> str | None:
    """An address, which may carry a port; None for anything else."""
    name = text.strip('"')
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return None
