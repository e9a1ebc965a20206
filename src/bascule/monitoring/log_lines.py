"""Log lines for machines: one JSON object a line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from bascule.domain.run import iso


class JsonLines(logging.Formatter):
    """``time``, ``level``, ``logger``, ``message``, and what a line has besides in the field ``fields``."""

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        """`clean` takes secrets out of a text."""
        super().__init__()
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": iso(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(record.getMessage()),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            for name, value in fields.items():
                line.setdefault(name, self._clean(value) if isinstance(value, str) else value)
        if record.exc_info:
            line["exception"] = self._clean(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)
