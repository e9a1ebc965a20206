"""Mounting the API and the dashboard in an application of your own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bascule.server.application import application
from bascule.server.options import Options
from bascule.server.recipe import Recipe

if TYPE_CHECKING:
    from fastapi import FastAPI


def router(
    *,
    url: str | None = None,
    migrations_dir: str | os.PathLike[str] = "migrations",
    folder: str | os.PathLike[str] | None = None,
    options: Options | None = None,
    **settings: Any,
) -> FastAPI:
    """An ASGI application for ``app.mount("/bascule", …)``.

    With `url`, that and `settings` by name are the whole truth; without, the settings of a command run in `folder`
    count (the working folder by default). Raises ConfigError.
    """
    flags: dict[str, tuple[str, Any]] = {name: (name, value) for name, value in settings.items()}
    if url is not None:
        flags["database_url"] = ("url", url)
        flags["migrations_dir"] = ("migrations_dir", os.fspath(migrations_dir))
    place = os.fspath(folder) if folder is not None else os.getcwd()
    return application(Recipe(flags=flags, folder=place, alone=url is not None), options)
