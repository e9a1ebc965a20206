"""The verbs and what each does, so that help and completion need not import them."""

from __future__ import annotations

from collections.abc import Mapping

VERBS: Mapping[str, str] = {
    "demo": "See the whole story on a throw-away SQLite database.",
    "init": "Write a configuration file and a migrations folder; mark the target's environment.",
    "new": "Write a new migration file.",
    "status": "Show what is applied, pending, failed and running.",
    "history": "Show past runs.",
    "show": "Show one migration: its description, its statements, where it stands.",
    "plan": "Show what `up` would do, in order.",
    "validate": "Ask the data rules, and what a migration needs of today's rows.",
    "up": "Apply pending migrations.",
    "rollback": "Undo applied migrations.",
    "backup": "Take, list, prove, restore, prune and export backups.",
    "recover": "Finish or undo what a crash left.",
    "accept": "Take an edited applied file as it is now.",
    "mark": "Correct the ledger without running anything.",
    "sql": "Print the SQL that `up` would run, with its ledger rows.",
    "wait": "Block until the schema is there.",
    "health": "Show whether everything is in order, and what to do where it is not.",
    "metrics": "Show how many runs there were, how they ended, how long they took.",
    "alerts": "Show what somebody ought to know; acknowledge it.",
    "cleanup": "Remove what was kept long enough.",
    "performance": "Show what past runs took of host and server.",
    "report": "Report on a period: runs, rates, times, health.",
    "export": "Write what is known of a period as JSON, CSV or HTML.",
    "logs": "Show the journal: every fact of every run.",
    "serve": "Serve the REST API and the dashboard.",
    "token": "Make, list and revoke access tokens of the REST API.",
    "audit": "Show the log of who did what, and prove that nobody changed it.",
    "doctor": "Check installation, settings and target.",
    "completion": "Print the completion script for a shell.",
}
