"""The processes that dump tables at the same time, and the work handed out to them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bascule.databases.postgres.dump_task import Task
from bascule.errors import MigrationFailed, Refused


class Workers:
    """Started at once, so that they are up when there is something to do; at the end of the block they are gone."""

    def __init__(self, count: int, *, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-P", "-m", "bascule.databases.postgres.dump_worker"]
        # -P: a folder that we happen to be in has no modules for us. Their own session: Ctrl-C is for us, who end them.
        self._processes = [
            subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            for _ in range(count)
        ]
        self._lock = threading.Lock()
        self._failure: BaseException | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    # What was still to be told to a process that is gone cannot be told.
                    with suppress(OSError):
                        pipe.close()
            process.wait()

    def run(
        self, job: Mapping[str, Any], tasks: Sequence[Task], *, done: Callable[[Task], None]
    ) -> Callable[[], dict[str, dict[str, Any]]]:
        """Begin with the tasks, the largest first; the answer waits for their answers, by name.

        That raises what a task failed with, and then the others are ended too.
        """
        waiting = sorted(tasks, key=lambda task: -task.size)
        answers: dict[str, dict[str, Any]] = {}

        def serve(process: subprocess.Popen[bytes]) -> None:
            try:
                _tell(process, job)
                while (task := self._next(waiting)) is not None:
                    _tell(process, task.as_dict())
                    answers[task.name] = _heard(process, task)
                    done(task)
                _tell(process, None)
            except BaseException as exc:  # noqa: BLE001 - it is raised where it is waited for
                self._fail(exc)

        threads = [threading.Thread(target=serve, args=(process,), daemon=True) for process in self._processes]
        for thread in threads:
            thread.start()

        def wait() -> dict[str, dict[str, Any]]:
            for thread in threads:
                thread.join()
            if self._failure is not None:
                raise self._failure
            return answers

        return wait

    def _next(self, waiting: list[Task]) -> Task | None:
        with self._lock:
            return waiting.pop(0) if waiting and self._failure is None else None

    def _fail(self, exc: BaseException) -> None:
        with self._lock:
            first, self._failure = self._failure is None, self._failure or exc
        if first:
            for process in self._processes:
                process.kill()


def _tell(process: subprocess.Popen[bytes], what: Any) -> None:
    assert process.stdin is not None, "asked for"
    try:
        process.stdin.write(json.dumps(what).encode() + b"\n")
        process.stdin.flush()
    except OSError as exc:
        raise _gone(process) from exc


def _heard(process: subprocess.Popen[bytes], task: Task) -> dict[str, Any]:
    assert process.stdout is not None, "asked for"
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise _gone(process)
    answer: dict[str, Any] = json.loads(line)
    failed = answer.get("failed")
    if failed is None:
        return answer
    kind = Refused if failed["exit"] == Refused.exit_code else MigrationFailed
    raise kind(failed["message"], code=failed["code"], hint=failed["hint"], details={"table": task.words})


def _gone(process: subprocess.Popen[bytes]) -> MigrationFailed:
    process.wait()
    return MigrationFailed(
        f"A process that dumped rows ended by itself, with status {process.returncode}.",
        code="dump_failed",
        hint="Nothing was changed, and there is no backup. Was it killed, perhaps for want of memory? Run again.",
    )
