"""zstd, and where it comes from: the standard library from Python 3.14 on, before that the package of the same code."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

# Larger streams are compressed by threads. Starting them costs more than a small table takes.
WORTH_THREADS = 4 << 20


def compressor(level: int, *, threads: int) -> Any:
    """Its `compress` and `flush` answer bytes. The frame ends with zstd's own checksum, which stock tools look at."""
    zstd = library()
    parameter = zstd.CompressionParameter
    return zstd.ZstdCompressor(
        options={parameter.compression_level: level, parameter.checksum_flag: 1, parameter.nb_workers: threads}
    )


def default_threads() -> int:
    """As many as there are processors for this process, two at most: level 1 gains nothing from more."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(2, len(affinity(0)) if affinity else os.cpu_count() or 1)


def library() -> Any:
    """The module with `ZstdCompressor`, `ZstdDecompressor`, `ZstdError`."""
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
