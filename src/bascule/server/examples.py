"""Examples of answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

RUN: Final[dict[str, Any]] = {
    "id": "AddNewTable_1704067200000",
    "name": "AddNewTable",
    "timestamp": "2024-01-01T00:00:00.000Z",
    "executionTime": 1500,
    "status": "completed",
    "validationResult": None,
    "backupPath": None,
    "dependencies": [],
    "dataImpact": "low",
    "estimatedDuration": 1500,
}
STATUS: Final[dict[str, Any]] = {
    "pending": [],
    "running": [],
    "completed": [
        {
            "id": "AddNewTable_1704067200000",
            "name": "AddNewTable",
            "status": "completed",
            "timestamp": "2024-01-01T00:00:00.000Z",
            "executionTime": 1500,
        }
    ],
    "failed": [],
    "rolledBack": [],
    "summary": {"total": 1, "completed": 1, "failed": 0, "pending": 0, "averageExecutionTime": 1500},
}
HEALTH: Final[dict[str, Any]] = {
    "status": "healthy",
    "checks": {"database": "healthy", "migrations": "healthy", "validation": "healthy", "rollback": "healthy"},
    "lastCheck": "2024-01-01T00:00:00.000Z",
    "issues": [],
    "recommendations": [],
}
VALIDATION: Final[dict[str, Any]] = {
    "summary": {"total": 17, "passed": 17, "failed": 0, "warnings": 0, "executionTime": 250},
    "results": [],
    "recommendations": [],
    "criticalIssues": [],
}
PLAN: Final[dict[str, Any]] = {
    "migrations": [
        {
            "name": "AddNewTable",
            "dependencies": [],
            "buildsOn": [],
            "dataImpact": "low",
            "wayBack": "down",
            "losses": [],
        }
    ],
    "dataImpact": "low",
    "totalEstimatedTime": 1500,
    "rollbackPlan": {"targetMigration": None, "migrationsToRevert": ["AddNewTable"], "backupRequired": False},
    "validationPlan": {"preMigrationChecks": [], "postMigrationChecks": []},
}
BACKUP: Final[dict[str, Any]] = {
    "id": "20240101T000000Z-9dc89f921d380452",
    "backupPath": "/var/backups/bascule/20240101T000000Z-9dc89f921d380452",
    "scope": "database",
    "size": 123456,
    "verified": True,
}
METRICS: Final[dict[str, Any]] = {
    "metrics": {"totalMigrations": 1, "successfulMigrations": 1, "failedMigrations": 0, "migrationSuccessRate": 100},
    "performance": [],
}
RULE: Final[dict[str, Any]] = {
    "id": "fk_integrity",
    "name": "Foreign Key Integrity",
    "category": "data_integrity",
    "severity": "error",
    "description": "Rows that refer to none.",
}
SESSION: Final[dict[str, Any]] = {
    "name": "ann",
    "role": "operator",
    "environment": "staging",
    "target": "shop",
    "csrf": "ZGVtbw",
    "expiresAt": "2024-01-01T12:00:00.000Z",
}
ALERT: Final[dict[str, Any]] = {
    "id": "4f1c9d0e2b7a",
    "type": "error",
    "title": "AddNewTable failed",
    "message": 'relation "users" does not exist',
    "timestamp": "2024-01-01T00:00:00.000Z",
    "acknowledged": False,
}
PERFORMANCE: Final[dict[str, Any]] = {
    "migrationName": "AddNewTable",
    "executionTime": 1500,
    "memoryUsage": 52428800,
    "rowsAffected": 1000,
}
CLEANED: Final[dict[str, Any]] = {
    "removed": {
        "alerts": 0,
        "messages": 0,
        "performanceRecords": 0,
        "plans": 0,
        "approvals": 0,
        "tokens": 0,
        "preimages": 0,
        "backups": 0,
    },
    "total": 0,
    "freedBytes": 0,
    "problems": [],
}
KEPT_PLAN: Final[dict[str, Any]] = {
    "id": "3f0c1e9a-5d2b-4c58-9b6e-0d5a1f6c7e21",
    "author": "ann",
    "createdAt": "2024-01-01T00:00:00.000Z",
    "expiresAt": "2024-01-02T00:00:00.000Z",
    "migrations": ["AddNewTable"],
    "approvals": [{"by": "bob", "at": "2024-01-01T01:00:00.000Z"}],
    "approvalsNeeded": 1,
    "approved": True,
}
