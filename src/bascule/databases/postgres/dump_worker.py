"""A process that dumps tables: ``python -m bascule.databases.postgres.dump_worker``.

Lines of JSON: in, once, where store and snapshot are, then tasks; out, an answer for each. How to get to the database
stands in its environment. It ends with its input, also in the middle of a task: whoever started it is gone then.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any

from bascule.errors import BasculeError, MigrationFailed


def main() -> int:
    """Work until the input ends. 0 after the line ``null``, which says that there is no more to do."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever else prints must not be taken for an answer
    first = sys.stdin.buffer.readline()
    if not first:
        return 1
    work: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(work,), daemon=True).start()
    worker = _Worker(json.loads(first))
    while (task := work.get()) is not None:
        answers.write(json.dumps(worker.answer(task)).encode() + b"\n")
    return 0


def _listen(work: queue.SimpleQueue[Any]) -> None:
    for line in sys.stdin.buffer:
        task = json.loads(line)
        work.put(task)
        if task is None:
            return
    # Not the end that was agreed on: what is half written is no object in the store, and psql ends with its pipe.
    os._exit(1)


class _Worker:
    def __init__(self, job: dict[str, Any]) -> None:
        from bascule.backups.encryption import Encryption
        from bascule.backups.stores.opening import open_store

        self._job = job
        self._store = open_store(job["store"])
        recipients = tuple(job["recipients"])
        self._encryption = Encryption(recipients=recipients) if recipients else None
        self._connection: Any = None

    def answer(self, task: dict[str, Any]) -> dict[str, Any]:
        from bascule.databases.postgres.dump_task import Task, run_task

        job = self._job
        psql = (job["psql"], {**os.environ}, job["snapshot"]) if job["psql"] else None
        try:
            return run_task(
                Task.from_dict(task),
                store=self._store,
                encryption=self._encryption,
                level=job["level"],
                connection=self._in_snapshot,
                psql=psql,
            )
        except BasculeError as exc:
            return {"failed": {"message": exc.message, "code": exc.code, "hint": exc.hint, "exit": exc.exit_code}}
        except Exception as exc:  # noqa: BLE001 - whatever it is, the one who waits has to hear of it
            failure = MigrationFailed(f"{type(exc).__name__}: {exc}", code="dump_failed")
            return {"failed": {"message": failure.message, "code": failure.code, "hint": "", "exit": 1}}

    def _in_snapshot(self) -> Any:
        if self._connection is None:
            import psycopg

            from bascule.databases.postgres.dump_task import begin_in_snapshot

            # Everything else stands in the environment.
            self._connection = psycopg.connect("", autocommit=True, prepare_threshold=None)
            begin_in_snapshot(self._connection, self._job["snapshot"])
        return self._connection


if __name__ == "__main__":
    sys.exit(main())
