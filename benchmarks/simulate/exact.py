"""What each row of a bulk write becomes where nothing goes wrong: it follows from the world as it was before."""

from __future__ import annotations

from collections import Counter
from typing import Final

from benchmarks.simulate.actor import Violations
from benchmarks.simulate.kinds import OUT_OF_RANGE, SOURCE, Finished, Row
from benchmarks.simulate.world import Json, World, at_path, normal

__all__ = ["check_exactly"]

_DONE: Final = ("updated", "unchanged")


def check_exactly(violations: Violations, run: Finished, world: World) -> None:
    """Check the outcome of each row, and the counts of the report."""
    found = [_with_key(run, row, world) if run.kind.match else [] for row in run.rows]
    records = Counter(record_id for some in found for record_id, _ in some)
    seen, expected = set[str](), Counter[str]()
    for row, result, some in zip(run.rows, run.results, found, strict=True):
        key, outcome = normal(run.kind.key_of(row)), result["outcome"]
        wanted = "refused" if key and key in seen else _outcome(run, row, some, world)
        if key not in seen and any(records[record_id] > 1 for record_id, _ in some) and outcome in _DONE:
            wanted = outcome  # two rows write one record: what the first leaves decides
        seen.add(key)
        expected[wanted] += 1
        if outcome != wanted:
            what = f"{row} is {outcome} ({result.get('reasons', '')}), not {wanted}"
            violations.add(f"{run.actor}: nothing goes wrong, and {what}", key)
    counts = {name: count for name, count in run.counts.items() if count}
    if counts != expected:
        violations.add(f"{run.actor}: nothing goes wrong, and the report has {counts}, not {dict(expected)}")


def _outcome(run: Finished, row: Row, found: list[tuple[str, Json]], world: World) -> str:
    kind = run.kind
    if len(found) > 1 or (found and run.mode == "create"):
        return "conflict"
    bad = {column: value for column, value in row.items() if "!" in value or value in OUT_OF_RANGE}
    # No record has a date of birth.
    is_there = found and "birthdate" not in bad and _has_all(run, bad, *found[0], world)
    if bad and not is_there:
        return "refused"
    if kind.match is None:
        return "created"
    if not found:
        return "created" if kind.can_create and run.mode != "update" else "refused"
    if _has_all(run, row, *found[0], world):
        return "unchanged"
    return "updated" if kind.can_update else "refused"


def _with_key(run: Finished, row: Row, world: World) -> list[tuple[str, Json]]:
    """Return the records that had the key of a row when the run began, with their ids."""
    key, match = normal(run.kind.key_of(row)), run.kind.match or ""
    beside = {"card_number": "cards", "external_id": "customer_source_records"}
    if run.kind.family == "customers" and match in beside:
        owners = {
            one["customer_id"]
            for one in _before(run, beside[match], world, match, key)
            if normal(one[match]) == key and one.get("customer_source_id", SOURCE) == SOURCE
        }
        found = [(owner, world.version_at("customers", owner, run.began)) for owner in sorted(owners, key=str)]
        return [(owner, one) for owner, one in found if one is not None]
    path = run.kind.columns[match]
    records = _before(run, run.kind.family, world, path, key)
    return [(next(iter(one.values())), one) for one in records if normal(at_path(one, path)) == key]


def _before(run: Finished, family: str, world: World, path: str, value: str) -> list[Json]:
    """Return the records as they were when a run began, of those that ever had a value in a field."""
    found = [world.version_at(family, one, run.began) for one in world.had(family, path, [value])]
    return [one for one in found if one is not None]


def _has_all(run: Finished, row: Row, record_id: str, record: Json, world: World) -> bool:
    """Return whether a record and its parts have every value of a row."""
    for column, path in run.kind.columns.items():
        if row.get(column) and normal(at_path(record, path)) != normal(row[column]):
            return False
    parts = [("cards", "card_number", "", row.get("card_number", ""))] if run.kind.has_card else []
    parts += [
        ("property_records", "property_value", name[9:], value)
        for name, value in row.items()
        if name.startswith("property.")
    ]
    return all(
        any(
            one["customer_id"] == record_id
            and normal(one[field]) == normal(value)
            and one.get("property_id", "") == property_id
            for one in _before(run, family, world, field, value)
        )
        for family, field, property_id, value in parts
        if value
    )
