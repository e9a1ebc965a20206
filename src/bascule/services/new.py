"""A new migration file, with a version nobody else has."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta
from typing import Literal

from bascule.errors import SourceError, UsageError

_SQL = """-- {title}
-- migrate:up


-- migrate:down

"""

_OF_SQL = r"""[;'"]|--"""

_PYTHON = '''"""{title}"""


def up(op):
    pass


def down(op):
    pass
'''


def new(folder: str, name: str, *, language: Literal["sql", "python"] = "sql", now: datetime) -> str:
    """Write the file and answer its path.

    The version is the UTC second. Where the folder has that version already, the next free second is taken, so that
    two files of one
    minute's work never share a version; files of two branches differ by their second or, failing that, are refused as
    duplicates when they meet.

    Raises:
        UsageError: code ``not_a_name``: it has no letter or digit, is a path or SQL, or holds characters that do not
            print.
        SourceError: the folder cannot be written.
    """
    title = name.strip()
    slug = re.sub(r"\W+", "_", title).strip("_")
    why_not = _why_not_a_name(title) or ("" if slug else "has no letter or digit to name a file by")
    if why_not:
        raise UsageError(
            f"{name!r} {why_not}; a migration is named by words.",
            code="not_a_name",
            hint="For example: bascule new add_user_table",
        )
    extension, template = ("py", _PYTHON) if language == "python" else ("sql", _SQL)
    try:
        os.makedirs(folder, exist_ok=True)
        taken = {entry.split("_", 1)[0] for entry in os.listdir(folder)}
        moment = now
        while True:
            version = moment.strftime("%Y%m%d%H%M%S")
            path = os.path.join(folder, f"{version}_{slug}.{extension}")
            if version not in taken:
                try:
                    with open(path, "x", encoding="utf-8") as file:
                        file.write(template.format(title=title))
                    return path
                except FileExistsError:
                    pass
            moment += timedelta(seconds=1)
    except OSError as problem:
        raise SourceError(
            f"{folder}: a new migration cannot be written: {problem.strerror}.", hint="Check the folder's permissions."
        ) from problem


def _why_not_a_name(title: str) -> str:
    if "/" in title or "\\" in title:
        return "is a path"
    if not title.isprintable():
        return "holds characters that do not print"
    sign = re.search(_OF_SQL, title)
    return f"holds {sign[0]}, a sign of SQL" if sign else ""
