"""What the OpenAPI document says of an endpoint: examples, and each answer that may come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_FAILURE: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["success", "message", "error"],
    "properties": {
        "success": {"const": False},
        "message": {"type": "string"},
        "error": {
            "type": "object",
            "required": ["code", "hint"],
            "properties": {"code": {"type": "string"}, "hint": {"type": "string"}},
        },
        "data": {},
    },
}
_WORDS: Final[Mapping[int, tuple[str, str, str]]] = {
    400: ("The request cannot be read", "bad_request", "See /docs for what is expected."),
    401: ("The credentials are missing or no good", "unauthenticated", "Send Authorization: Bearer with a token."),
    403: ("The role may not do that", "forbidden", "It takes operator or more."),
    404: ("There is no such thing", "unknown_run", "The status and the logs name the runs there are."),
    405: ("This address does not take that method", "method_not_allowed", "The header Allow names those it takes."),
    408: ("The request came too slowly", "too_slow", "Send it again."),
    409: ("Another run has the lease, or the state does not allow it", "lease_held", "Wait for it."),
    413: ("The request is too large", "too_large", "At most 262144 bytes are taken."),
    415: ("The request is not JSON", "not_json", "Send it with Content-Type: application/json."),
    422: ("The rows do not allow it", "needs_not_met", "Mend the rows that are named."),
    429: ("Too many requests", "too_many_requests", "Come again in 20 s."),
    500: ("It failed", "migration_failed", "The database is unchanged."),
    503: ("The database cannot be reached, or too much is under way", "unreachable", "Come again."),
}
_ALWAYS: Final = (400, 401, 403, 405, 429, 500, 503)


def answers(
    example: Any,
    *,
    message: str | None = None,
    data: Mapping[str, Any] | None = None,
    also: tuple[int, ...] = (),
    kind: str = "application/json",
    status: int = 200,
    more: Mapping[int, str] | None = None,
    texts: tuple[str, ...] = (),
) -> dict[int | str, dict[str, Any]]:
    """For FastAPI's ``responses``. `example`: of ``data``; `also`: further statuses of failures; `more`: of successes
    without a body of their own; `texts`: other kinds of content that may be asked for.
    """
    if kind == "application/json":
        shown: dict[str, Any] = {"success": True} | ({"message": message} if message else {}) | {"data": example}
        schema: dict[str, Any] = {
            "type": "object",
            "required": ["success", "data"],
            "properties": {
                "success": {"type": "boolean"},
                "message": {"type": "string"},
                "data": dict(data or _schema_of(example)),
            },
        }
        content = {kind: {"schema": schema, "example": shown}}
    else:
        content = {kind: {"schema": {"type": "string"}, "example": example}}
    content |= {each: {"schema": {"type": "string"}} for each in texts}
    found: dict[int | str, dict[str, Any]] = {status: {"description": "Done", "content": content}}
    for number, words in (more or {}).items():
        found[number] = {"description": words}
    for number in sorted({*_ALWAYS, *also}):
        words, code, hint = _WORDS[number]
        failure = {"success": False, "message": f"{words}.", "error": {"code": code, "hint": hint}}
        found[number] = {
            "description": words,
            "content": {"application/json": {"schema": dict(_FAILURE), "example": failure}},
        }
    return found


def _schema_of(example: Any) -> dict[str, Any]:
    match example:
        case list():
            return {"type": "array", "items": {"type": "object"}}
        case dict():
            return {"type": "object"}
        case _:
            return {}


CHANGING: Final = (408, 413, 415)
"""What may happen to whatever has a body."""
