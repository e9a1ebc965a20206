"""Every failure leaves the server through here: which status it is, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bascule.errors import (
    BasculeError,
    ConfigError,
    Interrupted,
    LockNotAvailable,
    MigrationFailed,
    NeedsPerson,
    Refused,
    SourceError,
    TargetUnreachable,
    UsageError,
)
from bascule.server.answers import failure

UNKNOWN = frozenset(
    {
        "unknown_migration",
        "unknown_run",
        "unknown_alert",
        "unknown_plan",
        "unknown_token",
        "backup_missing",
        "no_such_table",
    }
)
"""Codes of errors for something that is not there: 404."""
UNFIT = frozenset({"data_not_valid", "needs_not_met", "data_broken"})
"""Codes of what the rows themselves refuse: 422."""


class Problem(Exception):
    """A failure that the server itself finds."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        hint: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.hint = status, message, code, hint
        self.headers = dict(headers or {})
        self.more = more


def status_of(error: BasculeError) -> int:
    """The HTTP status of one of our errors."""
    if error.code in UNKNOWN:
        return 404
    if error.code in UNFIT:
        return 422
    # The first that fits counts, so that the special ones stand first.
    for kind, status in (
        (TargetUnreachable, 503),
        (ConfigError, 500),
        (SourceError, 500),
        (UsageError, 400),
        (Refused, 409),
        (LockNotAvailable, 409),
        (NeedsPerson, 409),
        (Interrupted, 503),
        (MigrationFailed, 500),
    ):
        if isinstance(error, kind):
            return status
    return 500


def install(app: FastAPI, clean: Callable[[str], str]) -> None:
    """Give the application its answers for failures."""

    def of_ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, BasculeError)
        return told(status_of(error), error.message, error.as_dict(), clean)

    def of_the_server(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return failure(
            error.status, error.message, error.code, error.hint, headers=error.headers, clean=clean, **error.more
        )

    def of_input(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [_place_of(each) for each in error.errors()[:20]]
        words = "; ".join(f"{each['at']}: {each['problem']}" for each in found)
        return failure(
            400, f"The request cannot be read: {words}.", "bad_request", "See /docs for what is expected.", found=found
        )

    def of_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message, code, hint = _HTTP.get(error.status_code, ("The request was refused.", "refused", ""))
        return failure(error.status_code, message, code, hint, headers=error.headers)

    app.add_exception_handler(BasculeError, of_ours)
    app.add_exception_handler(Problem, of_the_server)
    app.add_exception_handler(RequestValidationError, of_input)
    app.add_exception_handler(HTTPException, of_http)


_HTTP: Mapping[int, tuple[str, str, str]] = {
    400: ("The request cannot be read.", "bad_request", "See /docs for what is expected."),
    404: ("There is nothing at this address.", "not_found", "See /docs for what there is."),
    405: ("This address does not take that method.", "method_not_allowed", "The header Allow names those it takes."),
}


def told(status: int, message: str, error: Mapping[str, Any], clean: Callable[[str], str]) -> Response:
    """The answer for an error in its JSON form; runs of a batch stand beside it."""
    described = dict(error)
    data = described.pop("data", None)
    if data is None and "report" in described and status == 422:
        data = described["report"]
    code, hint = str(described.pop("code", "error")), str(described.pop("hint", ""))
    return failure(status, message, code, hint, clean=clean, data=data, **described)


def _place_of(found: Mapping[str, Any]) -> dict[str, str]:
    """Where something is wrong and what; never the value, which may be a secret put in the wrong place."""
    place = [str(part) for part in found.get("loc", ()) if part != "body"]
    return {"at": ".".join(place) or "body", "problem": str(found.get("msg", "wrong"))}
