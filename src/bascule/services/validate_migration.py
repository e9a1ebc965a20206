"""The data rules around one migration: what it needs of today's rows, and what it has broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bascule.domain.run import iso
from bascule.domain.validation import ValidationReport
from bascule.services.context import Context
from bascule.services.validate import Validation, Wanted, validate


def before(context: Context, validation: Validation, name: str, *, wanted: Wanted | None = None) -> ValidationReport:
    """All rules that are wanted, and the needs of the migration and of those that would run before it; one that is
    applied needs nothing. Raises as `bascule.services.plan.plan` and `validate`.
    """
    from bascule.planning.names import find
    from bascule.services.plan import plan
    from bascule.services.preflight import look

    full = find(name, context.source.listing()).name
    answers = look(context, plan(context, names=(full,)).migrations)
    report = validate(validation, replace(wanted or Wanted(), migration=full))
    unmet = [answer for answer in answers if answer.status == "not_met"]
    return replace(
        report,
        needs=tuple(answer.as_dict() for answer in answers),
        needs_words=tuple("\n".join(answer.lines()) for answer in unmet),
    )


def after(
    context: Context,
    validation: Validation,
    name: str,
    *,
    known: Mapping[str, ValidationReport] | None = None,
    wanted: Wanted | None = None,
) -> ValidationReport:
    """All rules that are wanted; what `known`, reports by migration, had found before is told apart, else what the
    migration's own run has seen before it began. Raises as `before`.
    """
    from bascule.planning.names import find
    from bascule.services.kept_look import kept

    full = find(name, context.source.listing()).name
    wanted = replace(wanted or Wanted(), migration=full, after=True)
    report = validate(validation, wanted)
    earlier = (known or {}).get(full)
    if earlier is not None:
        return replace(report, before={result.rule_id: result for result in earlier.results})
    look = kept(context, full)
    if look is None:
        return report
    # That look was about fewer tables; what is wrong elsewhere is not new.
    asked = {result.rule_id for result in report.results} & set(look.results)
    again = validate(validation, replace(wanted, touched=look.tables))
    return replace(
        report,
        before=look.results,
        about=tuple(result for result in again.results if result.rule_id in asked),
        known_from={"runId": look.run_id, "at": iso(look.at) if look.at else None, "tables": list(look.tables)},
    )
