from __future__ import annotations

import dataclasses
from pathlib import Path

from bascule.config.load import load
from bascule.config.variables import BY_VARIABLE, ENTRIES
from bascule.ports.database import Limits

CONTRACT = set(
    """
DATABASE_HOST DATABASE_PORT DATABASE_USER DATABASE_PASSWORD DATABASE_NAME MIGRATION_BACKUP_DIR MIGRATION_METRICS_DIR
MIGRATION_ALERTS_DIR MIGRATION_VALIDATION_ENABLED MIGRATION_VALIDATION_STRICT_MODE MIGRATION_MONITORING_ENABLED
MIGRATION_HEALTH_CHECK_INTERVAL MIGRATION_CLEANUP_INTERVAL LOG_LEVEL DATABASE_URL DATABASE_PASSWORD_FILE
DATABASE_PASSWORD_COMMAND BASCULE_SECRET_KEY BASCULE_SECRET_KEY_FILE BASCULE_AUDIT_KEY BASCULE_AUDIT_KEY_FILE
BASCULE_JWT_ALG BASCULE_JWT_ISSUER BASCULE_JWT_AUDIENCE BASCULE_JWT_JWKS_URL BASCULE_JWT_ROLE_CLAIM BASCULE_STATE_URL
MIGRATION_DIR MIGRATION_LOCK_WAIT MIGRATION_DIRECT_URL MIGRATION_PREIMAGE_RETENTION MIGRATION_ENVIRONMENT
MIGRATION_BACKUP_ENABLED MIGRATION_BACKUP_STORE MIGRATION_BACKUP_VERIFY BASCULE_BACKUP_KEY BASCULE_BACKUP_KEY_FILE
BASCULE_BACKUP_RECIPIENT MIGRATION_PLAN_LIFETIME MIGRATION_ON_FAILURE
""".split()  # noqa: SIM905 - a list of words
)


def test_every_variable_that_was_promised_is_a_setting() -> None:
    assert set(BY_VARIABLE) == CONTRACT


def test_no_setting_is_listed_twice_and_each_has_a_meaning() -> None:
    names = [entry.name for entry in ENTRIES]
    assert len(set(names)) == len(names)
    assert all(entry.meaning for entry in ENTRIES)


def test_limits_have_the_names_and_the_defaults_of_the_port(tmp_path: Path) -> None:
    limits = load(environ={}, folder=tmp_path).limits
    assert limits == dataclasses.asdict(Limits())
