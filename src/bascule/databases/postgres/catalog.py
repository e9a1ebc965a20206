"""How schema objects look, from PostgreSQL's catalog: what the function in ``shape.sql`` needs, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from bascule.domain.schema import Snapshot
from bascule.domain.statement import Touch


def shape_sql(schema: str) -> str:
    """The statements that create the function ``shape(touch jsonb)``, or replace it, in the schema of this name."""
    return _script().replace("@schema@", '"' + schema.replace('"', '""') + '"')


def touch_json(touch: Touch) -> str:
    """What the function is given."""
    names = sorted(touch.objects, key=lambda each: (each.kind, each.schema or "", each.name, each.column or ""))
    objects = [
        {"kind": each.kind, "schema": each.schema, "name": each.name}
        | ({} if each.column is None else {"column": each.column})
        for each in names
    ]
    return json.dumps({"objects": objects, "everything": touch.everything}, ensure_ascii=False)


def snapshot(answer: str | bytes | Mapping[str, Any]) -> Snapshot:
    """What the function answered, or what was kept of such an answer: JSON as text, or read already."""
    found = json.loads(answer) if isinstance(answer, str | bytes) else answer
    return Snapshot(objects=found["objects"], whole=found["whole"])


@cache
def _script() -> str:
    return resources.files(__package__).joinpath("shape.sql").read_text(encoding="utf-8")
