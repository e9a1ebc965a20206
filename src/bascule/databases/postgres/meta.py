"""What Bascule's schema in a database says about itself, and when nobody should believe it or work with it."""

from __future__ import annotations

from typing import Any, Final

from bascule.databases.postgres.message import identifier, literal
from bascule.errors import Refused

LAYOUT: Final = 2
"""Counts up when a table or the signature of a function changes. Bodies of functions are told apart by `code` alone.
"""

STATE_SINCE: Final = 2
"""The first layout with the tables of `bascule.state`."""

_LOOK: Final = """DO $look$ BEGIN
IF EXISTS (
  SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = {schema} AND c.relname = 'meta' AND c.relkind = 'r'
) THEN
  PERFORM pg_catalog.set_config('bascule.meta', (
    SELECT (pg_catalog.to_jsonb(m) || pg_catalog.jsonb_build_object('stranger', {stranger}))::text
    FROM {own}.meta AS m, pg_catalog.pg_namespace AS n WHERE n.nspname = {schema}
  ), true);
END IF;
END $look$"""
# Whoever owns the schema can put functions of their own in the place of Bascule's, and whoever calls those lends them
# their rights. An administrator could do so anyway, and is a member of every role, so membership says nothing of one.
STRANGER: Final = """(
  SELECT CASE WHEN me.oid <> n.nspowner AND NOT its.rolsuper
    AND (me.rolsuper OR NOT pg_catalog.pg_has_role(me.oid, n.nspowner, 'USAGE'))
    THEN pg_catalog.jsonb_build_object('owner', its.rolname, 'me', me.rolname, 'lends', me.rolsuper) END
  FROM pg_catalog.pg_roles AS me, pg_catalog.pg_roles AS its
  WHERE me.rolname OPERATOR(pg_catalog.=) current_user AND its.oid = n.nspowner
)"""


def look_sql(schema: str) -> str:
    """A statement that leaves Bascule's words about itself, as JSON, in the setting ``bascule.meta`` for the rest of
    the message or transaction; nothing where the schema or its tables are not there. Reads no table that may be
    missing, so it raises no error.
    """
    return _LOOK.format(schema=literal(schema), own=identifier(schema), stranger=STRANGER)


def parsed(value: str | bytes | None) -> dict[str, Any] | None:
    """What `look_sql` left behind."""
    import json

    return json.loads(value) if value else None


def refuse_newer(meta: dict[str, Any], schema: str) -> None:
    """Raises `Refused` (code ``newer_ledger``) when a later Bascule made the tables."""
    if meta["layout"] > LAYOUT:
        raise Refused(
            f"The schema {schema} was written by a newer Bascule "
            f"(layout {meta['layout']}, this one knows up to {LAYOUT}).",
            code="newer_ledger",
            hint="Use that newer version here as well.",
        )


def refuse_stranger(stranger: dict[str, Any] | None, schema: str) -> None:
    """Raises `Refused` (code ``foreign_schema``) where the schema is another role's, which could change what is called
    there.
    """
    if stranger:
        raise Refused(
            f"The schema {schema} belongs to the role {stranger['owner']}, and you are {stranger['me']}: "
            "its owner could change what runs with your rights.",
            code="foreign_schema",
            hint=f"Run as {stranger['owner']}, or make it yours with ALTER SCHEMA {identifier(schema)} OWNER TO "
            f"{identifier(stranger['me'])} after a look at what is in it, or name another schema in the settings.",
        )
