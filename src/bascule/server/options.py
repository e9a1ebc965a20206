"""What a server allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bascule.server.hosts import names_in

PREFIX = "/api/v1/migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Limits of one server."""

    largest_body: int = 256 * 1024
    """Bytes of a request's body."""
    slowest_body: float = 15.0
    """Seconds in which a body has to arrive."""
    longest_answer: float = 300.0
    """Seconds a caller waits for a run; then the answer is 202 and the run goes on."""
    soon: float = 1.0
    """Seconds a caller who wants no wait is kept, so that a refusal is told at once."""
    reads_a_minute: int = 1200
    """Requests that only look, of one caller."""
    changes_a_minute: int = 120
    """Requests of other kinds, of one caller."""
    failures_a_minute: int = 30
    """Refused credentials, from one address; good ones are taken all the same."""
    proxies: int = 0
    """How many trusted proxies stand in front and add to X-Forwarded-For; 0: whoever connects is who asks."""
    hosts: frozenset[str] | None = None
    """Names by which it may be asked, besides localhost and addresses; None: by any."""
    workers: int = 4
    """Processes for runs at a time, and as many again for long work that only looks."""
    readers: int = 3
    """Connections for looking."""
    streams: int = 500
    """Live streams at a time."""
    open_metrics: bool = False
    """``/metrics`` needs no token."""

    def chosen(self, settings: Mapping[str, Any]) -> Options:
        """As the settings of the group ``server`` have it."""
        named = names_in(settings["hosts"] or "")
        return replace(
            self,
            hosts=self.hosts | named if self.hosts is not None else named or None,
            reads_a_minute=settings["reads"],
            changes_a_minute=settings["changes"],
            failures_a_minute=settings["failures"],
        )
