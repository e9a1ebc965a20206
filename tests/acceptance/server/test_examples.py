"""The examples of the original API reference, sent as they are written there, get answers of the shape shown there."""

from __future__ import annotations

from collections.abc import Mapping

from tests.acceptance.server.served import Server

NAME = "20240102000000_AddNewTable"


def test_the_story_of_the_reference(server: Server, tokens: Mapping[str, str]) -> None:
    operator, viewer = tokens["operator"], tokens["viewer"]
    validated = server.post(
        "validate", {"migrationName": "AddNewTable", "context": {"environment": "production"}}, operator
    )
    assert validated.json["message"] == "Migration validation passed"
    assert set(validated.data) >= {"summary", "results", "recommendations", "criticalIssues"}
    assert set(validated.data["summary"]) >= {"total", "passed", "failed", "warnings", "executionTime"}

    executed = server.post(
        "execute",
        {
            "migrationName": "AddNewTable",
            "validateBefore": True,
            "createBackup": True,
            "monitorProgress": True,
            "rollbackOnFailure": True,
        },
        operator,
    )
    assert executed.status == 200
    assert executed.json["message"] == f"Migration {NAME} executed successfully"
    run = executed.data
    assert run["name"] == NAME
    assert run["id"].startswith(f"{NAME}_")
    assert set(run) >= {
        "id", "name", "timestamp", "executionTime", "status", "validationResult", "backupPath", "dependencies",
        "dataImpact", "estimatedDuration",
    }  # fmt: skip
    assert run["status"] == "completed"

    status = server.get("status", viewer).data
    assert set(status) >= {"pending", "running", "completed", "failed", "rolledBack", "summary"}
    assert NAME in [each["name"] for each in status["completed"]]
    assert set(status["summary"]) >= {"total", "completed", "failed", "pending", "averageExecutionTime"}

    health = server.get("health", viewer).data
    assert set(health) >= {"status", "checks", "lastCheck", "issues", "recommendations"}
    assert set(health["checks"]) == {"database", "migrations", "validation", "rollback"}

    metrics = server.get("metrics", viewer).data
    assert set(metrics) >= {"metrics", "performance"}
    assert set(metrics["metrics"]) >= {
        "totalMigrations", "successfulMigrations", "failedMigrations", "averageExecutionTime", "totalExecutionTime",
        "lastMigrationTime", "migrationSuccessRate", "rollbackCount", "validationFailures", "rollbackSuccessRate",
        "validationFailuresByRule",
    }  # fmt: skip

    told = server.get(f"runs/{run['id']}", viewer).data
    assert told["id"] == run["id"]
    with server.events(run["id"], viewer) as events:
        names = [name for name, _ in events]
    assert names[-1] == "end"
    assert "migration.completed" in names

    undone = server.post("rollback", {"migrationName": "AddNewTable"}, operator)
    assert undone.data["status"] == "rolled_back"
    assert undone.data["verdict"] == "exact"


def test_what_is_asked_again_and_has_not_changed_is_not_sent_again(server: Server, tokens: Mapping[str, str]) -> None:
    first = server.get("status", tokens["viewer"])
    again = server.get("status", tokens["viewer"], If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_a_list_comes_by_the_page(server: Server, tokens: Mapping[str, str]) -> None:
    whole = server.get("logs?limit=0", tokens["operator"]).data
    found, asked = [], "logs?limit=3"
    while asked:
        reply = server.get(asked, tokens["operator"])
        found += reply.data
        following = reply.json.get("nextCursor")
        asked = f"logs?limit=3&cursor={following}" if following else ""
    assert found == whole
    assert server.get("logs?cursor=nonsense", tokens["operator"]).status == 400
