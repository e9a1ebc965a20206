"""Which rows the server stumbles over: PostgreSQL says what is wrong with a value, and not where it stands.

A question that ends in an error is asked once more, of a few pages of the table at a time; where that ends in an error
too, row by row, each in a transaction within the transaction. It reads only, in one block of PL/pgSQL whose answer is a
setting of its transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bascule.validation.needs.computes import Computes
from bascule.validation.needs.converts import Converts
from bascule.validation.needs.facts import Facts
from bascule.validation.needs.need import SAMPLE, Question
from bascule.validation.needs.rows import Rows
from bascule.validation.needs.writing import column_name, literal, name, shown, table_name

ANSWER = "SELECT pg_catalog.current_setting('bascule.sieve', true)"
_PAGES = 16
"""Pages that are asked at once: of a table without such rows that costs what one question does."""
_BOUNDS = (
    "SET LOCAL statement_timeout = {timeout}",
    "SET LOCAL lock_timeout = 500",
    "SET LOCAL row_security = off",
)
_BODY = """
DECLARE
  until constant timestamptz := pg_catalog.clock_timestamp() + interval '{seconds} seconds';
  found bigint := 0; said text; samples jsonb := '[]'; whole boolean := true;
  here bigint; page bigint; part record; one record; low tid; high tid;
BEGIN
  <<parts>>
  FOR part IN
    WITH RECURSIVE tree AS (
      SELECT pg_catalog.to_regclass({table})::oid AS id
      UNION
      SELECT h.inhrelid FROM pg_catalog.pg_inherits AS h JOIN tree ON h.inhparent = tree.id WHERE {children}
    )
    SELECT c.oid::pg_catalog.regclass::text AS name,
      pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint AS pages
    FROM tree JOIN pg_catalog.pg_class AS c ON c.oid = tree.id AND c.relkind IN ('r', 'm')
  LOOP
    page := 0;
    WHILE page < part.pages LOOP
      low := ('(' || page || ',0)')::tid;
      high := ('(' || page + {pages} || ',0)')::tid;
      page := page + {pages};
      BEGIN
        EXECUTE {count} || ' FROM ONLY ' || part.name || {range} INTO here USING low, high;
      EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
        here := 1;
      END;
      CONTINUE WHEN here = 0;
      FOR one IN EXECUTE {rows} || ' FROM ONLY ' || part.name || {all} USING low, high LOOP
        IF pg_catalog.clock_timestamp() > until THEN
          whole := false;
          EXIT parts;
        END IF;
        BEGIN
          EXECUTE {count} || ' FROM ONLY ' || part.name || {place} INTO here USING one.place;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
          here := 1;
          said := coalesce(said, SQLERRM);
        END;
        found := found + here;
        IF here > 0 AND pg_catalog.jsonb_array_length(samples) < {most} THEN
          samples := samples || pg_catalog.jsonb_build_array(one.shown);
        END IF;
      END LOOP;
    END LOOP;
  END LOOP;
  PERFORM pg_catalog.set_config('bascule.sieve', pg_catalog.jsonb_build_object(
    'found', found, 'samples', samples, 'said', said, 'whole', whole)::text, true);
END
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sieve:
    """The statements to send, of which `ANSWER` asks the result, and what its samples tell."""

    statements: tuple[str, ...]
    heading: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """The answer."""

    found: int
    sample: tuple[tuple[str | None, ...], ...]
    said: str
    """What the server says of the first."""
    whole: bool
    """False: the time was over before all rows were looked at."""


def sieve(question: Question, facts: Facts, *, seconds: float) -> Sieve | None:
    """None: rows cannot be told apart by such a question."""
    asked = question.resolved(facts) if isinstance(question, Converts) else question
    if (
        not isinstance(asked, Rows | Computes)
        or asked.source.query
        or asked.source.adds
        or facts.dialect != "postgresql"
    ):
        return None
    if isinstance(asked, Rows):
        count, condition = "SELECT pg_catalog.count(*)", f" AND ({asked.offends}\n)"
        heading = asked.heading(facts)
    else:
        count, condition = f"SELECT pg_catalog.count({asked.expression}\n) * 0", ""
        heading = (*asked.source.key(facts), *asked.columns)
    table = asked.source.table
    alias = f" AS {name(asked.source.alias)}" if asked.source.alias else ""
    alone = asked.source.rows(facts).startswith("ONLY ")
    values = ", ".join(shown(column_name(column), "postgresql") for column in dict.fromkeys(heading))
    body = _BODY.format(
        seconds=seconds * 0.8,
        table=literal(table_name(table)),
        children="false" if alone else "true",
        pages=_PAGES,
        count=literal(count),
        range=literal(f"{alias} WHERE ctid >= $1 AND ctid < $2{condition}"),
        all=literal(f"{alias} WHERE ctid >= $1 AND ctid < $2"),
        rows=literal(f"SELECT ctid AS place, pg_catalog.jsonb_build_array({values}) AS shown"),
        place=literal(f"{alias} WHERE ctid = $1{condition}"),
        most=SAMPLE,
    )
    bounds = (each.format(timeout=round(seconds * 1000)) for each in _BOUNDS)
    return Sieve(statements=(*bounds, f"DO {literal(body)}"), heading=tuple(dict.fromkeys(heading)))


def read(answer: Any) -> Sifted | None:
    """From what `ANSWER` answers; None: nothing was found after all."""
    told = json.loads(answer) if answer else {}
    if not told.get("found"):
        return None
    return Sifted(
        found=int(told["found"]),
        sample=tuple(tuple(row) for row in told["samples"]),
        said=told.get("said") or "",
        whole=bool(told.get("whole")),
    )
