"""The REST API: `bascule serve`, and `router` to mount it in an application of your own.

::

    from fastapi import FastAPI
    from bascule import server

    app = FastAPI()
    app.mount("/bascule", server.router(url="postgresql://…", migrations_dir="migrations"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI


def router(**options: Any) -> FastAPI:
    """An ASGI application to mount in a FastAPI or Starlette one. Options and errors as
    `bascule.server.mounting.router` has them.
    """
    from bascule.server.mounting import router as make

    return make(**options)


__all__ = ["router"]
