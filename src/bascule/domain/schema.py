"""What a schema looked like at one moment, object by object, and how two such looks differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["exact", "column_order", "cosmetic", "lossy", "none", "unverified"]
"""What a rollback reached: the schema of before; that with columns in another order; that under other generated names
or
layout; something else; nothing, for want of a way back; or nobody could look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Definitions of schema objects as the catalog has them.

    Keys read like ``table public.users``, ``view public.active``, ``function public.f(integer)``, ``sequence
    public.s``,
    ``type public.mood``, ``schema app``, ``extension citext``, ``other …``. A value is a JSON-able mapping of the
    object's parts: for a table
    ``columns`` (a list in order, each with name and its properties), ``constraints``, ``indexes``, ``triggers``,
    ``policies``,
    ``rules``, ``grants``, ``options``, ``comment``, ``owner``…; a definition text stands under a part's name.
    An object that was looked for and not found is absent.
    """

    objects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    whole: bool = False
    """True: everything in the schema was looked at, not just what a script touches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between two looks, in words."""

    object: str
    what: str
    """A sentence: ``column note is missing``, ``default of column price: 0 before, none now``…"""
    weight: Literal["column_order", "cosmetic", "lossy"]


Part = tuple[str, str, str]
"""A thing that stands in a schema: the key of its object as in a `Snapshot`, what it is of that (``column``,
``constraint``, ``index``, ``trigger``, ``comment``; empty: the object itself), and its name."""
