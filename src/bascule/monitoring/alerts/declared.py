"""From what the settings say about alerts to the policy."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any, Final
from urllib.parse import urlsplit

from bascule.domain.alert import TYPES, AlertType
from bascule.errors import ConfigError
from bascule.monitoring.alerts.policy import ALERTS, AlertPolicy, Channel
from bascule.monitoring.alerts.windows import DAYS, Window

_WINDOW: Final = ("from", "to", "days", "rules")
_WEBHOOK: Final = ("name", "url", "url_variable", "events", "least", "rules")


def policy_of(
    given: Mapping[str, Any],
    *,
    webhooks: Sequence[Mapping[str, Any]] = (),
    send_to: str | None = None,
    secret: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> AlertPolicy:
    """`given`: the settings of the group ``alerts`` by name; `webhooks`: its tables; `send_to`: addresses as Apprise
    takes them, between white space; `secret`: signs the webhooks. Raises ConfigError.
    """
    least = given["least"]
    channels = [_webhook(each, least, os.environ if environ is None else environ) for each in webhooks]
    channels += [_apprise(url, least) for url in (send_to or "").split()]
    names = [each.name for each in channels]
    for name in names:
        if names.count(name) > 1:
            raise _wrong(f"two channels are called {name}", "Give each webhook a name of its own.")
    if webhooks and not secret:
        raise ConfigError(
            "There are webhooks and no secret to sign them with.",
            code="webhook_secret",
            hint="Set BASCULE_WEBHOOK_SECRET or BASCULE_WEBHOOK_SECRET_FILE, 24 bytes or more.",
        )
    return AlertPolicy(
        failures=given["failures"],
        failures_within=given["failures_within"],
        slow=given["slow"],
        ignore=tuple(given["ignore"] or ()),
        types={rule: _type(word, f"alerts.types: {rule}") for rule, word in (given["types"] or {}).items()},
        repeat=given["repeat"],
        most=given["most"],
        windows=tuple(_window(each) for each in given["windows"] or ()),
        channels=tuple(channels),
        secret=secret,
    )


def _webhook(table: Mapping[str, Any], least: AlertType, environ: Mapping[str, str]) -> Channel:
    _only(table, _WEBHOOK, "webhooks")
    url = table.get("url")
    variable = table.get("url_variable")
    if (url is None) == (variable is None):
        raise _wrong("a webhook needs either url or url_variable", "url_variable names the variable that holds it.")
    if variable is not None:
        url = environ.get(str(variable))
        if not url:
            raise _wrong(f"the variable {variable}, which a webhook names, is not set", "Set it, or give url.")
    try:
        parts = urlsplit(str(url))
        port = parts.port
    except ValueError:
        raise _wrong("the address of a webhook cannot be read", "Write https://host/path.") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise _wrong("the address of a webhook is no web address", "Write https://host/path.")
    name = str(table.get("name") or f"{parts.hostname}{f':{port}' if port else ''}")
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", name):
        raise _wrong(f"{name!r} is no name for a webhook", "Letters, digits, dots, dashes and underscores.")
    return Channel(
        name=name,
        url=str(url),
        events=_words(table.get("events", [ALERTS]), "webhooks: events"),
        least=_type(table.get("least", least), "webhooks: least"),
        rules=_words(table.get("rules", ["*"]), "webhooks: rules"),
    )


def _apprise(url: str, least: AlertType) -> Channel:
    scheme, found, _ = url.partition("://")
    if not found:
        raise _wrong("an address to send alerts to has no scheme", "See Apprise's list: slack://…, mailto://…, …")
    # The address may be a credential from its beginning to its end.
    mark = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return Channel(name=f"{scheme.lower()}-{mark}", url=url, kind="apprise", least=least)


def _window(table: Mapping[str, Any]) -> Window:
    _only(table, _WINDOW, "alerts.windows")
    since, until = table.get("from"), table.get("to")
    rules = _words(table.get("rules", ["*"]), "alerts.windows: rules")
    hours = _clock(since), _clock(until)
    if hours[0] is not None and hours[1] is not None:
        days = _words(table.get("days", list(DAYS)), "alerts.windows: days")
        if not days or not set(days) <= set(DAYS):
            raise _wrong("alerts.windows: days are some of " + ", ".join(DAYS), "Correct that line.")
        return Window(days=days, since=hours[0], until=hours[1], rules=rules)
    begins, ends = _moment(since), _moment(until)
    if begins is None or ends is None or begins >= ends or "days" in table:
        raise _wrong(
            "a window of alerts.windows has no beginning and end that can be read",
            'Write from = "22:00", to = "02:00", or two moments as in "2026-11-23T22:00:00Z", all in UTC.',
        )
    return Window(begins=begins, ends=ends, rules=rules)


def _clock(value: object) -> time | None:
    if isinstance(value, time):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-2][0-9]:[0-5][0-9]", value) and value < "24":
        return time.fromisoformat(value)
    return None


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _type(word: object, where: str) -> AlertType:
    for each in TYPES:
        if word == each:
            return each
    raise _wrong(f"{where}: {word!r} is none of {', '.join(TYPES)}", "Correct that line.")


def _words(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) and each for each in value):
        raise _wrong(f"{where} is no list of texts", 'Write it as in ["run_failed", "health.*"].')
    return tuple(value)


def _only(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise _wrong(f"{where} knows nothing of {key!r}", f"It knows {', '.join(known)}.")


def _wrong(words: str, hint: str) -> ConfigError:
    return ConfigError(f"The settings of alerts are wrong: {words}.", code="alerts_config", hint=hint)
