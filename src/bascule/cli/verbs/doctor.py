"""`bascule doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bascule import __version__
from bascule.cli.call import Call
from bascule.cli.options import verb
from bascule.cli.words import table
from bascule.errors import ConfigError

if TYPE_CHECKING:
    from bascule.config.settings import Settings
    from bascule.services.doctor import Check, Diagnosis

_SIGNS = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM"}


@verb("doctor")
def command(call: Call) -> int:
    """Check installation, settings with their origin, target, and what stands in the way. Changes nothing."""
    settings: Settings | None = None
    try:
        settings = call.settings
    except ConfigError as error:
        diagnosis = _without_settings(error)
    else:
        diagnosis = _with_settings(settings)
    for line in _lines(call, diagnosis.checks, settings):
        call.output.text(line)
    rows = [
        {"name": each.entry.name, "value": each.value, "origin": str(each.origin), "variable": each.entry.variable}
        for each in (settings.shown if settings else ())
    ]
    call.output.document(diagnosis.as_dict() | {"settings": rows})
    return 0 if diagnosis.healthy else 1


def _with_settings(settings: Settings) -> Diagnosis:
    from bascule import wiring
    from bascule.services.doctor import Check, Diagnosis, diagnose

    diagnosis = diagnose(
        version=__version__,
        source=lambda: wiring.open_source(settings),
        target=lambda: wiring.open_target(settings, read_only=True),
        environment=settings.environment if settings.environment_named else None,
        schema=settings.schema,
        backups=lambda: _backups(settings),
        tools=wiring.backup_tools if settings.backup["enabled"] else None,
    )
    extra = [Check(name="settings", status="warning", message=warning) for warning in settings.warnings]
    extra += _alerts(settings)
    password = settings.address.password if settings.address else None
    if password is not None and password.open_to_everybody():
        extra.append(
            Check(
                name="password file",
                status="warning",
                message=f"every user of this machine can read {password.file}",
                hint=f"chmod 600 {password.file}",
            )
        )
    return Diagnosis(checks=(*diagnosis.checks, *extra))


def _backups(settings: Settings) -> Iterator[Check]:
    """Where backups go, and whether what encrypts them can be read. Raises ConfigError."""
    from bascule import wiring
    from bascule.services.backups import place_of, sized
    from bascule.services.doctor import Check

    store = wiring.backup_store(settings)
    keys = wiring.backup_encryption(settings)
    free = store.free_bytes()
    how = "not encrypted" if keys is None else "encrypted" if keys.opens else "encrypted; no key here opens them"
    off = "" if settings.backup["enabled"] else "none is taken before a run (backup.enabled); "
    room = f", {sized(free)} free" if free is not None else ""
    yield Check(name="backups", status="ok", message=f"{off}{place_of(store)}{room}; {how}")


def _alerts(settings: Settings) -> Iterator[Check]:
    """Who is told of alerts, where anybody is to be told."""
    from bascule.services.doctor import Check

    if not (settings.webhooks or settings.alert_urls or settings.alerts["windows"]):
        return
    from bascule import wiring

    try:
        channels = [each.name for each in wiring.alert_policy(settings).channels]
    except ConfigError as error:
        yield Check(name="alerts", status="problem", message=error.message, hint=error.hint)
        return
    yield Check(name="alerts", status="ok", message=f"told: {', '.join(channels) or 'nobody'}")


def _without_settings(error: ConfigError) -> Diagnosis:
    from bascule.services.doctor import Check, Diagnosis, installation

    wrong = Check(name="settings", status="problem", message=error.message, hint=error.hint)
    return Diagnosis(checks=(*installation(__version__), wrong))


def _lines(call: Call, checks: tuple[Check, ...], settings: Settings | None) -> list[str]:
    clean = call.output.clean
    rows = []
    for check in checks:
        rows.append((_SIGNS[check.status], check.name, clean(check.message)))
        if check.hint and check.status != "ok":
            rows.append(("", "", f"→ {clean(check.hint)}"))
    answer = ["Checks", *table(rows)]
    if settings is not None:
        answer += ["", f"Settings ({settings.config_file or 'no configuration file'})"]
        answer += table((each.entry.name, each.value or "-", str(each.origin)) for each in settings.shown)
    return answer
