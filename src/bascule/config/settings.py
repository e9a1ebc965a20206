"""What a command works by, once everything that can set a value has been asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bascule.config.address import Address
from bascule.config.secret import Secret, scrub
from bascule.config.variables import Entry

if TYPE_CHECKING:
    from bascule.config.origin import Origin

Environment = Literal["development", "staging", "production"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One setting as `doctor` shows it."""

    entry: Entry
    value: str
    """Without secrets."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of one command. Times are in seconds, paths are absolute."""

    folder: Path
    """The working folder."""
    config_file: Path | None
    target: str | None
    """The named target that was chosen."""
    address: Address | None
    """None: nothing names a database; `missing` says what to do about it."""
    missing: str
    direct: Address | None
    state: Address | None
    migrations_dir: Path
    format: str | None
    environment: Environment
    environment_named: bool
    schema: str
    search_path: str | None
    variables: Mapping[str, str] = field(repr=False)
    """Some of them are passwords."""
    hidden_variables: Mapping[str, str] = field(repr=False)
    """Those of them whose values are never shown."""
    late: Literal["apply", "refuse"]
    lock_wait: float
    on_failure: Literal["careful", "down", "restore", "stop"]
    limits: Mapping[str, float | None]
    """The fields of `bascule.ports.database.Limits`."""
    fingerprint_ignore: tuple[str, ...]
    backup_dir: Path
    backup: Mapping[str, Any] = field(repr=False)
    """All settings of the group ``backup``, by name, but for the key."""
    backup_key: Secret | None
    metrics_dir: Path
    metrics_dir_named: bool
    """Somebody set it, so that runs write there."""
    alerts_dir: Path
    alerts_dir_named: bool
    """Somebody set it, so that alerts are written there."""
    alerts: Mapping[str, Any] = field(repr=False)
    """All settings of the group ``alerts``, by name, but for the addresses."""
    alert_urls: Secret | None
    webhooks: tuple[Mapping[str, Any], ...] = field(repr=False)
    webhook_secret: Secret | None
    retention: float | None
    """Seconds."""
    preimage_retention: float
    plan_lifetime: float
    approvals: int
    validation_enabled: bool
    validation_strict: bool
    validation: Mapping[str, Any] = field(repr=False)
    """All settings of the group ``validation``, by name."""
    health: Mapping[str, Any] = field(repr=False)
    """All settings of the group ``health``, by name."""
    monitoring_enabled: bool
    otel: bool
    """OpenTelemetry is told of runs."""
    health_check_interval: float
    cleanup_interval: float
    server: Mapping[str, Any] = field(repr=False)
    """All settings of the group ``server``, by name."""
    log_level: str
    log_level_named: bool
    log_format: Literal["text", "json"]
    secret_key: Secret | None
    audit_key: Secret | None
    audit_dir: Path | None
    """None: the user's state folder."""
    jwt: Mapping[str, str]
    warnings: tuple[str, ...]
    """For people, before anything else happens: variables that look like settings and are none."""
    shown: tuple[Shown, ...] = field(repr=False)

    def conceal(self, text: str) -> str:
        """The text with ``${name}`` in the place of the values of variables that are never shown."""
        from bascule.config.concealment import conceal

        return conceal(text, self.hidden_variables)

    def clean(self, text: str) -> str:
        """The text without any secret that these settings know of."""
        if self.hidden_variables:
            text = self.conceal(text)
        addresses = [address for address in (self.address, self.direct, self.state) if address is not None]
        secrets = [secret for address in addresses for secret in address.secrets]
        keys = [
            key for key in (self.secret_key, self.audit_key, self.backup_key, self.webhook_secret) if key is not None
        ]
        secrets += [known for key in keys for known in key.known]
        if self.alert_urls is not None:
            # Each is a credential by itself.
            secrets += [url for known in self.alert_urls.known for url in known.split()]
        harmless = [
            part for address in addresses for part in (address.url.user, address.url.host, address.url.database)
        ]
        return scrub(text, secrets, harmless=harmless)
