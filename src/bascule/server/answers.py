"""The one shape of all answers, and how a list is cut into pages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response


def written(document: Any, clean: Callable[[str], str] | None = None) -> bytes:
    """JSON in UTF-8; texts that hold a secret without it."""
    text = _json(document)
    if clean is not None and clean(text) != text:
        text = _json(_cleaned(document, clean))
    return text.encode("utf-8", "backslashreplace")


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _cleaned(each, clean) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each, clean) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else clean(str(value))


def answer(
    data: Any,
    message: str | None = None,
    *,
    success: bool = True,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    clean: Callable[[str], str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """``{"success", "message"?, "data"}``, and further keys."""
    document: dict[str, Any] = {"success": success}
    if message:
        document["message"] = message
    return Response(
        written(document | {"data": data} | dict(more or {}), clean),
        status,
        dict(headers or {}),
        media_type="application/json",
    )


def failure(
    status: int,
    message: str,
    code: str,
    hint: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    clean: Callable[[str], str] | None = None,
    data: Any = None,
    **more: Any,
) -> Response:
    """``{"success": false, "message", "error": {"code", "hint", …}}``."""
    document: dict[str, Any] = {"success": False, "message": message, "error": {"code": code, "hint": hint, **more}}
    if data is not None:
        document["data"] = data
    return Response(written(document, clean), status, dict(headers or {}), media_type="application/json")


def tagged(request: Request, response: Response) -> Response:
    """The answer with its ETag, or 304 without a body where the caller has it already."""
    tag = f'W/"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or tag.removeprefix("W/") in known:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return response


CURSOR: Final = r"^[0-9]{1,9}$"
"""What a cursor looks like."""


def offset_of(cursor: str | None) -> int:
    """Where a page begins, from a cursor of the right look."""
    return int(cursor) if cursor else 0


def page(items: Sequence[Any], limit: int, offset: int) -> tuple[list[Any], str | None]:
    """A page of a whole list, and the cursor of the next one. `limit` 0: all that is left."""
    chosen = list(items[offset : offset + limit] if limit else items[offset:])
    following = offset + len(chosen)
    return chosen, str(following) if following < len(items) else None
