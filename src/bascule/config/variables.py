"""Every setting, in one table: its name in files, its environment variable, its kind, its default and its meaning.

`load.py` reads settings by this table, `doctor` shows them by it, and the documentation's reference is made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "text",
    "path",
    "flag",
    "choice",
    "port",
    "seconds",
    "milliseconds",
    "days",
    "url",
    "words",
    "table",
    "secret",
    "command",
    "count",
    "rules",
]
"""``seconds``, ``milliseconds``, ``days`` are durations: "50ms", "3s", "2min", "1h", "7d", or a number in that unit."""

PREFIXES = ("BASCULE_", "MIGRATION_")
"""Variables that begin so and are not in the table are warned of: a misspelt setting would otherwise be silent."""

TEST_PREFIX = "BASCULE_TEST_"
"""These belong to the test fixtures of `bascule.testing`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One setting."""

    name: str
    """In files; a dot stands for a table: ``limits.lock_timeout``."""
    kind: Kind
    meaning: str
    default: object = None
    variable: str = ""
    allowed: tuple[str, ...] = ()
    minimum: float = 0.0
    """Smallest value of a duration, in seconds."""
    in_files: bool = True
    """False: comes from the environment or `.env` only, because what it holds does not belong in a committed file."""
    per_target: bool = True
    """May stand in ``[tool.bascule.targets.NAME]`` too."""
    optional: bool = False
    """A duration that can be turned off by "none"."""


def _entry(name: str, kind: Kind, meaning: str, **more: object) -> Entry:
    return Entry(name=name, kind=kind, meaning=meaning, **more)  # type: ignore[arg-type]


ENTRIES: tuple[Entry, ...] = (
    _entry("database_url", "url", "address of the target", variable="DATABASE_URL"),
    _entry("database_host", "text", "the target's host, where no address is given", variable="DATABASE_HOST"),
    _entry("database_port", "port", "the target's port, where no address is given", variable="DATABASE_PORT"),
    _entry("database_user", "text", "the role to connect as, where no address is given", variable="DATABASE_USER"),
    _entry("database_name", "text", "name of the database, where no address is given", variable="DATABASE_NAME"),
    _entry("database_password", "secret", "password of the role", variable="DATABASE_PASSWORD", in_files=False),
    _entry("password_file", "path", "file that holds the password", variable="DATABASE_PASSWORD_FILE"),
    _entry(
        "password_command",
        "command",
        "command that prints the password; run without a shell, asked again with each new connection",
        variable="DATABASE_PASSWORD_COMMAND",
    ),
    _entry(
        "default_database",
        "path",
        "SQLite file that is used in development when nothing else names a database",
        per_target=False,
    ),
    _entry(
        "direct_url",
        "url",
        "a way past the pooler, for the lease and for statements outside a transaction",
        variable="MIGRATION_DIRECT_URL",
    ),
    _entry("state_url", "url", "another PostgreSQL that keeps the journal", variable="BASCULE_STATE_URL"),
    _entry("migrations_dir", "path", "folder of the migrations", default="migrations", variable="MIGRATION_DIR"),
    _entry("format", "text", "format of the folder, where it cannot be told by its shape"),
    _entry(
        "environment",
        "choice",
        "what kind of target it is; production is protected",
        default="development",
        variable="MIGRATION_ENVIRONMENT",
        allowed=("development", "staging", "production"),
    ),
    _entry("default_target", "text", "the named target that is used without --target", per_target=False),
    _entry("schema", "text", "PostgreSQL schema that Bascule keeps its own things in", default="bascule"),
    _entry("search_path", "text", "search path that migrations run with"),
    _entry("variables", "table", "texts that stand for ${name} in migrations"),
    _entry("secret_variables", "words", "variables whose values are never shown, whatever their names look like"),
    _entry(
        "late",
        "choice",
        "what is done with a pending migration older than the newest applied one",
        default="apply",
        allowed=("apply", "refuse"),
    ),
    _entry(
        "lock_wait",
        "seconds",
        "how long to wait for the lease while another run has it; locks in the database have limits of their own",
        default=300.0,
        variable="MIGRATION_LOCK_WAIT",
    ),
    _entry(
        "run.on_failure",
        "choice",
        "what is done by itself when a run fails or breaks the data: careful acts where nothing is lost, down runs the "
        "way back too, restore prefers the backup, stop leaves it to a person",
        default="careful",
        variable="MIGRATION_ON_FAILURE",
        allowed=("careful", "down", "restore", "stop"),
    ),
    _entry("limits.lock_timeout", "seconds", "one try at a lock inside a transaction", default=0.05, minimum=0.001),
    _entry(
        "limits.lock_retry",
        "seconds",
        "how long tries at a lock are repeated: PostgreSQL's locks on tables, SQLite's lock on the file",
        default=60.0,
    ),
    _entry(
        "limits.bare_lock_wait",
        "seconds",
        "how long a statement outside a transaction waits for older transactions",
        default=300.0,
        minimum=0.001,
    ),
    _entry("limits.statement_timeout", "seconds", "longest time of a statement", optional=True, minimum=0.001),
    _entry(
        "limits.idle_timeout",
        "seconds",
        "longest idle time inside a transaction of PostgreSQL; a Python migration that computes is not idle",
        default=60.0,
        minimum=1.0,
    ),
    _entry("limits.lease_ttl", "seconds", "how long a lease holds without being renewed", default=15.0, minimum=1.0),
    _entry("limits.reconnect", "seconds", "how long to try to reach a server again", default=20.0),
    _entry("fingerprint.ignore", "words", "objects that are left out of fingerprints"),
    _entry("backup_dir", "path", "folder of the backups", default="database-backups", variable="MIGRATION_BACKUP_DIR"),
    _entry(
        "backup.enabled",
        "flag",
        "take a backup before every up and rollback that can destroy something",
        default=True,
        variable="MIGRATION_BACKUP_ENABLED",
    ),
    _entry(
        "backup.store",
        "text",
        "where backups are kept, in place of backup_dir: a folder, or s3://bucket/prefix",
        variable="MIGRATION_BACKUP_STORE",
    ),
    _entry(
        "backup.verify",
        "choice",
        "how a backup is proved: restored to scratch and compared, some of its tables, or by its hashes alone",
        default="full",
        variable="MIGRATION_BACKUP_VERIFY",
        allowed=("full", "sampled", "hashes"),
    ),
    _entry("backup.max_age", "days", "`backup prune` removes older backups", optional=True),
    _entry("backup.max_count", "count", "so many backups of a target stay when `backup prune` runs"),
    _entry("backup.max_bytes", "count", "`backup prune` removes the oldest until all take no more bytes"),
    _entry(
        "backup.key",
        "secret",
        "age key that encrypts backups and opens them",
        variable="BASCULE_BACKUP_KEY",
        in_files=False,
    ),
    _entry("backup.key_file", "path", "file that holds that key", variable="BASCULE_BACKUP_KEY_FILE"),
    _entry(
        "backup.recipient",
        "text",
        "public age key: enough to take encrypted backups, not to read them",
        variable="BASCULE_BACKUP_RECIPIENT",
    ),
    _entry(
        "metrics_dir",
        "path",
        "folder of the metrics' textfile; where it is set, each run writes it for Prometheus' node exporter",
        default="migration-metrics",
        variable="MIGRATION_METRICS_DIR",
    ),
    _entry(
        "alerts_dir",
        "path",
        "folder of the alerts; where it is set, each alert is a file there too",
        default="migration-alerts",
        variable="MIGRATION_ALERTS_DIR",
    ),
    _entry(
        "preimage_retention",
        "days",
        "how long the rows that a migration removed are kept",
        default=30 * 86400.0,
        variable="MIGRATION_PREIMAGE_RETENTION",
    ),
    _entry(
        "plan_lifetime",
        "seconds",
        "how long a plan that was written to a file may be run",
        default=86400.0,
        minimum=1.0,
        variable="MIGRATION_PLAN_LIFETIME",
    ),
    _entry(
        "approvals",
        "count",
        "so many others than its author must approve a plan before it runs on production",
        default=0,
    ),
    _entry(
        "validation.enabled",
        "flag",
        "check the data rules before and after a run",
        default=True,
        variable="MIGRATION_VALIDATION_ENABLED",
    ),
    _entry(
        "validation.strict",
        "flag",
        "a warning makes `validate` end with 3 too, and refuses an `up` that touches the table",
        default=False,
        variable="MIGRATION_VALIDATION_STRICT_MODE",
    ),
    _entry(
        "validation.timeout",
        "seconds",
        "longest time of one look of a data rule, and of a custom rule; a rule that takes longer has no answer",
        default=60.0,
        minimum=0.001,
    ),
    _entry(
        "validation.sample_above",
        "count",
        "rows from which a table is sampled by the data rules that allow it (PostgreSQL)",
        default=10_000_000,
    ),
    _entry("validation.large_table", "count", "bytes from which a table is called large", default=10 << 30),
    _entry(
        "validation.trust_catalog",
        "flag",
        "what the database says it has looked at is not looked at again",
        default=True,
    ),
    _entry("validation.custom", "words", 'data rules of your own, as in ["shop.rules:NoFreeLunch"]'),
    _entry("validation.rules", "rules", "declared data rules, each a table: `[[validation.rules]]`"),
    _entry("health.free_space", "count", "percent of a disk below which health is degraded", default=10),
    _entry("health.replication_lag", "seconds", "how far a standby may be behind", default=60.0),
    _entry("health.connections", "count", "percent of the server's connections that may be taken", default=90),
    _entry("health.ignore", "words", 'conditions of health that do not count, as in ["no_way_back"]'),
    _entry(
        "monitoring.enabled",
        "flag",
        "sampler, alerts and metrics; journal, audit and ledger never stop",
        default=True,
        variable="MIGRATION_MONITORING_ENABLED",
    ),
    _entry(
        "monitoring.health_check_interval",
        "milliseconds",
        "time between health checks",
        default=300.0,
        minimum=0.001,
        variable="MIGRATION_HEALTH_CHECK_INTERVAL",
    ),
    _entry(
        "monitoring.cleanup_interval",
        "milliseconds",
        "time between clean-ups",
        default=86400.0,
        minimum=0.001,
        variable="MIGRATION_CLEANUP_INTERVAL",
    ),
    _entry(
        "monitoring.retention",
        "days",
        "how long performance records, resolved alerts, sent messages, expired plans and dead tokens are kept",
        default=90 * 86400.0,
        optional=True,
    ),
    _entry(
        "otel",
        "flag",
        "tell OpenTelemetry of runs and metrics, as the OTEL_* variables say; needs the extra otel",
        default=False,
        variable="MIGRATION_OTEL",
    ),
    _entry(
        "alerts.failures", "count", "so many failed runs within alerts.failures_within are an alert; 0: none", default=3
    ),
    _entry("alerts.failures_within", "seconds", "the time in which they are counted", default=3600.0),
    _entry("alerts.slow", "seconds", "a run that takes longer is an alert", optional=True),
    _entry("alerts.ignore", "words", 'what is no alert, as in ["run_interrupted", "run_failed:test_*"]'),
    _entry("alerts.types", "table", 'types in place of the rules\' own, as in { run_failed = "critical" }'),
    _entry(
        "alerts.least",
        "choice",
        "milder alerts are kept, and nobody is told",
        default="warning",
        allowed=("info", "warning", "error", "critical"),
    ),
    _entry(
        "alerts.repeat",
        "seconds",
        "an open alert that happens again is told again after this time",
        default=4 * 3600.0,
        optional=True,
    ),
    _entry("alerts.most", "count", "messages about alerts that a channel gets in an hour", default=30),
    _entry("alerts.windows", "rules", "maintenance windows, each a table: `[[alerts.windows]]`"),
    _entry(
        "alerts.send_to",
        "secret",
        "where alerts are sent: addresses as Apprise takes them, between white space",
        variable="BASCULE_ALERT_URLS",
        in_files=False,
    ),
    _entry("alerts.send_to_file", "path", "file that holds those addresses", variable="BASCULE_ALERT_URLS_FILE"),
    _entry("webhooks", "rules", "who is told of alerts and events by HTTP, each a table: `[[webhooks]]`"),
    _entry(
        "webhook_secret",
        "secret",
        "signs what is sent to webhooks",
        variable="BASCULE_WEBHOOK_SECRET",
        in_files=False,
        minimum=24,
    ),
    _entry("webhook_secret_file", "path", "file that holds that secret", variable="BASCULE_WEBHOOK_SECRET_FILE"),
    _entry("server.reads", "count", "requests a minute that only look, of one address", default=1200),
    _entry("server.changes", "count", "other requests a minute, of one address", default=120),
    _entry("server.failures", "count", "refused credentials a minute, of one address", default=30),
    _entry(
        "server.hosts",
        "text",
        "names by which the server is asked, between commas; localhost, what it listens on and addresses need none",
        variable="MIGRATION_SERVER_HOSTS",
    ),
    _entry(
        "log_level",
        "choice",
        "least important log line that is shown",
        default="warning",
        variable="LOG_LEVEL",
        allowed=("debug", "info", "warning", "error", "critical"),
        per_target=False,
    ),
    _entry(
        "log_format",
        "choice",
        "log lines for people, or one JSON object a line",
        default="text",
        variable="LOG_FORMAT",
        allowed=("text", "json"),
        per_target=False,
    ),
    _entry(
        "secret_key",
        "secret",
        "signs tokens and plans, 32 bytes or more",
        variable="BASCULE_SECRET_KEY",
        in_files=False,
        minimum=32,
    ),
    _entry(
        "secret_key_file",
        "path",
        "file that holds the secret key",
        variable="BASCULE_SECRET_KEY_FILE",
        per_target=False,
    ),
    _entry("audit_key", "secret", "signs the audit log", variable="BASCULE_AUDIT_KEY", in_files=False, minimum=16),
    _entry(
        "audit_key_file", "path", "file that holds the audit key", variable="BASCULE_AUDIT_KEY_FILE", per_target=False
    ),
    _entry(
        "audit_dir",
        "path",
        "folder that keeps number and code of the audit log's newest line, outside the database; the user's state "
        "folder where none is given",
        variable="BASCULE_AUDIT_DIR",
        per_target=False,
    ),
    _entry("jwt.alg", "text", "algorithm of tokens that others issue", variable="BASCULE_JWT_ALG", per_target=False),
    _entry("jwt.issuer", "text", "issuer that those tokens must name", variable="BASCULE_JWT_ISSUER", per_target=False),
    _entry(
        "jwt.audience",
        "text",
        "audience that those tokens must name",
        variable="BASCULE_JWT_AUDIENCE",
        per_target=False,
    ),
    _entry(
        "jwt.jwks_url", "text", "where the issuer publishes its keys", variable="BASCULE_JWT_JWKS_URL", per_target=False
    ),
    _entry("jwt.role_claim", "text", "claim that holds the role", variable="BASCULE_JWT_ROLE_CLAIM", per_target=False),
)

BY_NAME: Mapping[str, Entry] = {entry.name: entry for entry in ENTRIES}
BY_VARIABLE: Mapping[str, Entry] = {entry.variable: entry for entry in ENTRIES if entry.variable}

ADDRESS_PARTS = ("database_host", "database_port", "database_user", "database_name")
