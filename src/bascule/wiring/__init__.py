"""The one place where settings become objects: a module for each kind of them, found by what it wires.

Only what a command needs is imported, when it needs it: a name of this package loads its module when it is first asked
for, and modules import each other inside of functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bascule.wiring.alerting import alert_hands as alert_hands
    from bascule.wiring.alerting import alert_policy as alert_policy
    from bascule.wiring.alerting import keep_alert_files as keep_alert_files
    from bascule.wiring.alerting import keep_watch as keep_watch
    from bascule.wiring.alerting import look_for_alerts as look_for_alerts
    from bascule.wiring.alerting import outbox as outbox
    from bascule.wiring.alerting import try_channels as try_channels
    from bascule.wiring.alerting import watch as watch
    from bascule.wiring.audit import audit_key as audit_key
    from bascule.wiring.audit import trail as trail
    from bascule.wiring.audit import trail_of as trail_of
    from bascule.wiring.backup import backup_encryption as backup_encryption
    from bascule.wiring.backup import backup_store as backup_store
    from bascule.wiring.backup import backup_tools as backup_tools
    from bascule.wiring.backup import backups as backups
    from bascule.wiring.contexts import context as context
    from bascule.wiring.contexts import python_scripts as python_scripts
    from bascule.wiring.ignored import outside as outside
    from bascule.wiring.looking import health as health
    from bascule.wiring.looking import kept_health as kept_health
    from bascule.wiring.looking import kept_status as kept_status
    from bascule.wiring.looking import status_pulse as status_pulse
    from bascule.wiring.measures import exported as exported
    from bascule.wiring.measures import keep_textfile as keep_textfile
    from bascule.wiring.measures import prometheus as prometheus
    from bascule.wiring.measures import write_metrics as write_metrics
    from bascule.wiring.measures import write_text as write_text
    from bascule.wiring.otel import tell_otel as tell_otel
    from bascule.wiring.process import owner as owner
    from bascule.wiring.rules import validation as validation
    from bascule.wiring.serving import clean_up as clean_up
    from bascule.wiring.serving import rounds as rounds
    from bascule.wiring.sources import open_source as open_source
    from bascule.wiring.sources import short as short
    from bascule.wiring.targets import open_target as open_target

_MODULES: Final = {
    "targets": ("open_target",),
    "sources": ("open_source", "short"),
    "contexts": ("context", "python_scripts"),
    "process": ("owner",),
    "ignored": ("outside",),
    "audit": ("trail", "trail_of", "audit_key"),
    "rules": ("validation",),
    "backup": ("backups", "backup_store", "backup_encryption", "backup_tools"),
    "otel": ("tell_otel",),
    "alerting": (
        "alert_policy",
        "watch",
        "outbox",
        "alert_hands",
        "keep_watch",
        "look_for_alerts",
        "keep_alert_files",
        "try_channels",
    ),
    "looking": ("health", "kept_status", "kept_health", "status_pulse"),
    "measures": ("prometheus", "exported", "write_text", "keep_textfile", "write_metrics"),
    "serving": ("rounds", "clean_up"),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"bascule.wiring.{_MODULE_OF[name]}"), name)
