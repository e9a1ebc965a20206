"""Messages to webhooks, signed as https://www.standardwebhooks.com says, so that receivers need no code of ours."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final

from bascule.monitoring.alerts.deadline import LONGEST, opened
from bascule.monitoring.alerts.policy import Channel
from bascule.monitoring.alerts.sending import NotTaken
from bascule.state.deliveries import Delivery

TIMEOUT: Final = LONGEST
"""Seconds for which the receiver may be silent; for a message as a whole it has no longer."""
_PREFIX: Final = "whsec_"


def signature(secret: str, message_id: str, moment: int, body: bytes) -> str:
    """Of a body: ``v1,`` and the HMAC of id, moment and body. A secret that begins with ``whsec_`` is base64."""
    content = b".".join((message_id.encode(), str(moment).encode(), body))
    return f"v1,{base64.b64encode(hmac.new(_key(secret), content, hashlib.sha256).digest()).decode()}"


def webhook(secret: str, version: str, clock: Callable[[], float] = time.time) -> Callable[[Channel, Delivery], None]:
    """Who takes messages to webhooks."""

    def hand(channel: Channel, message: Delivery) -> None:
        body, moment = message.body.encode(), int(clock())
        request = urllib.request.Request(
            channel.url,
            data=body,
            method="POST",
            headers={
                "Content-Type": "application/json",
                "User-Agent": f"Bascule/{version}",
                "webhook-id": message.id,
                "webhook-timestamp": str(moment),
                "webhook-signature": signature(secret, message.id, moment, body),
            },
        )
        try:
            with urllib.request.build_opener(_Straight, _Plain, _Secure).open(request, timeout=TIMEOUT) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as problem:
            with problem:
                raise _refused(channel, problem) from None
        except (OSError, ValueError, http.client.HTTPException) as problem:
            # The address may hold a token, and some problems tell the whole of it.
            reason = getattr(problem, "reason", None) or problem
            words = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
            raise NotTaken(f"{channel.name} was not reached: {words}") from None

    return hand


class _Straight(urllib.request.HTTPRedirectHandler):
    """Where a redirection leads is nobody's choice but the receiver's: the message stays here."""

    def redirect_request(self, *_given: Any) -> None:
        """None: it counts as an answer."""


class _Known(http.client.HTTPConnection):
    """Its socket is known to whoever watches the time."""

    def connect(self) -> None:
        super().connect()
        opened(self.sock)


class _KnownSecure(http.client.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        opened(self.sock)


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Known, req)


class _Secure(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_KnownSecure, req)


def _refused(channel: Channel, problem: urllib.error.HTTPError) -> NotTaken:
    wait = problem.headers.get("Retry-After", "") if problem.headers else ""
    seconds = float(wait) if wait.isascii() and wait.isdigit() and len(wait) < 8 else None
    return NotTaken(f"{channel.name} answered {problem.code}", wait=seconds, final=problem.code == 410)


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            pass
    return secret.encode()
