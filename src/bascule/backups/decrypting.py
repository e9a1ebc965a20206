"""age writes what it decrypted; whoever restores wants to pull. A thread and a short queue stand between."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator

from bascule.backups.encryption import Encryption, Readable, decrypt

_BLOCK = 256 << 10
_DEPTH = 4


class _Given(Exception):
    """The reader has gone."""


def decrypted(source: Readable, encryption: Encryption | None, *, path: str) -> Generator[bytes, None, None]:
    """What the source holds, decrypted, in pieces. Closing the generator ends the thread. Raises as `decrypt`."""
    pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(_DEPTH)
    gone = threading.Event()

    def work() -> None:
        sink = _Queueing(pieces, gone)
        try:
            decrypt(source, sink, encryption, path=path)
            sink.flush()
            sink.put(None)
        except _Given:
            return
        except BaseException as exc:  # noqa: BLE001 - raised again by the reader, in its thread
            sink.put_error(exc)

    thread = threading.Thread(target=work, name="bascule-decrypting", daemon=True)
    thread.start()
    try:
        while (piece := pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        gone.set()
        thread.join()


class _Queueing:
    """Gathers small writes, and waits while the reader is behind."""

    def __init__(self, pieces: queue.Queue[bytes | BaseException | None], gone: threading.Event) -> None:
        self._pieces, self._gone = pieces, gone
        self._buffer = bytearray()

    def write(self, data: bytes) -> int:
        self._buffer += data
        if len(self._buffer) >= _BLOCK:
            self.flush()
        return len(data)

    def flush(self) -> None:
        if self._buffer:
            self.put(bytes(self._buffer))
            self._buffer.clear()

    def put(self, piece: bytes | BaseException | None) -> None:
        while not self._gone.is_set():
            try:
                self._pieces.put(piece, timeout=0.2)
            except queue.Full:
                continue
            return
        raise _Given

    def put_error(self, error: BaseException) -> None:
        try:
            self.put(error)
        except _Given:
            return
