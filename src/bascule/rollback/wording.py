"""Words for what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from bascule.rollback.option_values import PROPERTY, changed_values

_LONG = 200
"""Characters of a text that are shown."""

_LISTS = {"options": "option", "toast_options": "TOAST option", "inherits": "parent", "labels": "label"}
"""Properties that are lists of which each member stands for itself, and what one is called."""

_YES_OR_NO = {
    "not_null": ("NOT NULL", "nullable"),
    "valid": ("valid", "INVALID"),
    "ready": ("ready", "not ready"),
    "populated": ("populated", "not populated"),
    "row_security": ("under row level security", "not under row level security"),
    "force_row_security": ("under row level security for its owner too", "not under row level security for its owner"),
    "clustered": ("what CLUSTER goes by", "not what CLUSTER goes by"),
    "restrictive": ("restrictive", "permissive"),
}
"""Properties that are true or false; left out stands for the first of `_WHEN_LEFT_OUT`."""

_TRUE_WHEN_LEFT_OUT = ("valid", "ready", "populated")


def changed(name: str, of: str, old: Any, new: Any) -> Iterator[tuple[str, Literal["lossy"]]]:
    """How the property `name` of something (``column price``; empty: of the object itself) differs."""
    if name in _YES_OR_NO:
        yield f"{of or 'it'} was {_state(name, old)}, now {_state(name, new)}", "lossy"
    elif name == PROPERTY:
        yield from changed_values(of, old, new)
    elif name in _LISTS and set(old or ()) != set(new or ()):
        yield from _members(_LISTS[name], f" of {of}" if of else "", old or (), new or ())
    elif name == "grants":
        yield f"privileges{f' of {of}' if of else ''} were {_usual_or(old)}, now {_usual_or(new)}", "lossy"
    elif name == "enforcement":
        yield f"enforcement of {of} was {_usual_or(old)}, now {_usual_or(new)}", "lossy"
    elif name == "owner":
        yield f"{'the owner' if not of else f'the owner of {of}'} was {shown(old)}, now {shown(new)}", "lossy"
    else:
        verb = "were" if name in _LISTS else "was"
        yield f"{name.replace('_', ' ')}{f' of {of}' if of else ''} {verb} {shown(old)}, now {shown(new)}", "lossy"


def shown(value: Any) -> str:
    """A value for people: text as it is, on one line and cut where it is long; nothing as "none"."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {shown(each)}" for name, each in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        text = ", ".join(map(shown, value))
    else:
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def _usual_or(value: Any) -> str:
    return shown(value) if value else "the usual"


def _state(name: str, value: Any) -> str:
    yes, no = _YES_OR_NO[name]
    return yes if (name in _TRUE_WHEN_LEFT_OUT if value is None else value) else no


def _members(word: str, of: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[str, Literal["lossy"]]]:
    for each in old:
        if each not in new:
            yield f"{word} {shown(each)}{of} is missing", "lossy"
    for each in new:
        if each not in old:
            yield f"{word} {shown(each)}{of} is left behind", "lossy"
