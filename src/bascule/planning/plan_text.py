"""A plan file's text, and the signature that tells who wrote it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bascule.domain.plan_file import PlanFile, plan_of

ALGORITHM = "hmac-sha256"
LARGEST = 32 * 1024 * 1024
"""Bytes of a file that is read at all."""

Signed = Literal["unsigned", "good", "bad", "no_key"]
"""``no_key``: it is signed, and there is no key here to look with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """What a file holds."""

    plan: PlanFile
    signed: Signed


def plan_text(plan: PlanFile, key: bytes | None) -> str:
    """The file's text, signed where there is a key."""
    data = plan.as_dict()
    if key is not None:
        data["signature"] = {"algorithm": ALGORITHM, "value": signature(data, key)}
    return json.dumps(data, indent=2, ensure_ascii=True) + "\n"


def read_plan(text: str, key: bytes | None) -> ReadPlan:
    """Raises `ValueError`, in words, for what is no plan of a known form."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise ValueError(f"it is no JSON: {wrong}") from wrong
    if not isinstance(data, dict):
        raise ValueError("it is no plan")
    given = data.pop("signature", None)
    return ReadPlan(plan=plan_of(data), signed=_judged(data, given, key))


def signature(data: Mapping[str, Any], key: bytes) -> str:
    """HMAC-SHA256 (hex) over the canonical JSON: keys sorted, no white space, ASCII."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key, canonical.encode("ascii"), hashlib.sha256).hexdigest()


def _judged(data: Mapping[str, Any], given: Any, key: bytes | None) -> Signed:
    if given is None:
        return "unsigned"
    if key is None:
        return "no_key"
    value = given.get("value") if isinstance(given, dict) and given.get("algorithm") == ALGORITHM else None
    if not isinstance(value, str) or not value.isascii():
        return "bad"
    return "good" if hmac.compare_digest(value, signature(data, key)) else "bad"
