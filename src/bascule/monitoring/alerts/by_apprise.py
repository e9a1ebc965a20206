"""Messages to people, by chat, mail or pager: https://github.com/caronc/apprise knows how to reach them."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from bascule.monitoring.alerts.deciding import RESOLVED
from bascule.monitoring.alerts.policy import Channel
from bascule.monitoring.alerts.sending import NotTaken
from bascule.state.deliveries import Delivery

_KINDS: Final = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}


def by_apprise(channel: Channel, message: Delivery) -> None:
    """Take it there. Raises `NotTaken`."""
    try:
        import apprise
    except ImportError:
        raise NotTaken("Apprise is not installed: pip install 'bascule[alerts]'") from None
    # What it logs may hold the address, and that may be a credential.
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    logging.getLogger("apprise").propagate = False
    sender = apprise.Apprise()
    if not sender.add(channel.url):
        raise NotTaken(f"Apprise cannot read the address of {channel.name}")
    title, body, kind = words(json.loads(message.body))
    if not sender.notify(title=title, body=body, notify_type=kind, body_format="text"):
        raise NotTaken(f"{channel.name} did not take it")


def words(told: dict[str, Any]) -> tuple[str, str, str]:
    """Title, text, and kind of a message, from its body."""
    alert, target = told["data"], told.get("target") or {}
    over = told["type"] == RESOLVED
    where = " ".join(str(each) for each in (target.get("environment"), target.get("database")) if each)
    title = f"[{'resolved' if over else alert['type']}] {alert['title']}"
    lines = [alert["message"] if not over else f"Over: {alert.get('resolution') or 'resolved'}."]
    if alert.get("occurrences", 1) > 1:
        lines.append(f"{alert['occurrences']} times since {alert['firstAt']}.")
    lines.append(f"{where}; alert {alert['id']}" if where else f"Alert {alert['id']}")
    return title, "\n".join(lines), "success" if over else _KINDS[alert["type"]]
