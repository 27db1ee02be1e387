"""Findings about filters: one that finds nothing must find nothing, and one by ids must find these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

from carecloud_async.check.families import FamilyList
from carecloud_async.check.report import CheckFinding, good, problem, warning

__all__ = ["filter_findings"]

_MOST_FAMILIES: Final = 6
_MEANS: Final = (
    "filtered lists and exports hold records that they should not; a bulk write that looks rows up by this filter "
    "could change the wrong record (the SDK compares what came back and stops)"
)
_FIX: Final = "compare the records yourself after filtering, and tell the project's administrator"


async def filter_findings(
    families: Sequence[FamilyList], target: FamilyList | None, random: Random
) -> list[CheckFinding]:
    """Return which filters are applied.

    Args:
        families: the families and their first pages.
        target: the list that is looked at closely.
        random: where values come from that no record has.
    """
    ignored: list[str] = []
    applied: list[str] = []
    wrong_totals: list[str] = []
    for family, params in _empty_filters(families, random):
        reply = await family.ask(count=5, **params)
        label = f"{family.name} by {', '.join(params)}"
        if reply.is_page:
            (ignored if reply.length else applied).append(label)
            if not reply.length and reply.count:
                wrong_totals.append(label)
    found = []
    if ignored:
        found.append(
            problem("filters", f"filters that must find nothing found records: {'; '.join(ignored)}", _MEANS, _FIX)
        )
    elif applied:
        found.append(good("filters", f"filters that must find nothing found nothing: {'; '.join(applied)}", "as asked"))
    if wrong_totals:
        found.append(
            warning(
                "totals",
                f"total_items is not 0 where a filter found nothing: {'; '.join(wrong_totals)}",
                "total() of a filtered list is wrong",
                "count filtered lists by iterating",
            )
        )
    if target is not None and target.name == "customers":
        found += await _by_ids(target)
    return found


def _empty_filters(families: Sequence[FamilyList], random: Random) -> list[tuple[FamilyList, Mapping[str, Any]]]:
    """Return filters with values that no record has."""
    nowhere = f"{random.getrandbits(104):026x}"
    readable = [one for one in families if one.reply.records]
    wanted: list[tuple[FamilyList, Mapping[str, Any]]] = []
    for one in readable:
        if one.name == "customers":
            wanted += [
                (one, {"email": f"{nowhere}@nowhere.invalid"}),
                (one, {"last_name": f"Nobody{nowhere}"}),
                (one, {"customer_ids": [nowhere, nowhere[::-1]]}),
            ]
    with_owner = [one for one in readable if "customer_id" in one.operation.parameters]
    return wanted + [(one, {"customer_id": nowhere}) for one in with_owner[:_MOST_FAMILIES]]


async def _by_ids(target: FamilyList) -> list[CheckFinding]:
    first = await target.by_id(count=2)
    ids = first.ids(target.id_field)
    if not ids:
        return []
    reply = await target.ask(count=10, customer_ids=[str(one) for one in ids])
    if reply.is_missing:
        return [
            warning(
                "filters",
                "customers by customer_ids could not be read",
                "whether lists of ids can be looked up is not known",
                "run it again",
            )
        ]
    if {str(one) for one in reply.ids(target.id_field)} == {str(one) for one in ids}:
        return [good("filters", "customers by customer_ids gives these customers", "lists of ids can be looked up")]
    return [
        problem(
            "filters",
            "customers by customer_ids does not give the customers that were asked for",
            _MEANS,
            "look customers up one by one, and tell the project's administrator",
        )
    ]
