"""What must hold at the end of a simulation, whatever happened in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from benchmarks.simulate.actor import Violations
from benchmarks.simulate.network import Internet
from benchmarks.simulate.world import FAMILIES, Json, Version, World, at_path, normal

__all__ = ["check_end"]

#: The oldest look-up before a create, and the oldest base of a `PUT` (seconds), with the way of a request, where reads
#: show what is there now.
_LOOKED_UP: Final = 45.0
_BASE: Final = 12.0
#: Fields that rows name.
_NAMED: Final = ("email", "first_name", "last_name", "language_id")
#: Fields that the server writes.
_SERVERS: Final = ("last_change", "state", "loyalty", "customer_id", "property_of_customer")


def check_end(internet: Internet, violations: Violations) -> None:
    """Check what needs the whole history."""
    world = internet.world
    behind = internet.troubles.behind
    for family in FAMILIES.values():
        for path in family.keys:
            _check_doubles(world, family.name, path, violations, oldest=_LOOKED_UP + behind)
    _check_lost_fields(world, violations, oldest=_BASE + behind)
    for one in internet.wrong_identities:
        violations.add(f"an answer of another identity: {one}")


def _check_doubles(world: World, family: str, path: str, violations: Violations, *, oldest: float) -> None:
    """No key is made twice because of us, unless it was told."""
    lives: dict[str, list[tuple[float, float, Version]]] = {}
    for record_id, versions in world.history[family].items():
        for key, begin, end in _spans(versions, path):
            if {record_id, key}.isdisjoint(world.told):
                lives.setdefault(key, []).append((begin, end, versions[0]))
    for key, spans in lives.items():
        for begin, _, made in spans:
            if made.actor is None or made.at != begin:
                continue
            for other_begin, other_end, other in spans:
                if other is made or other_end <= made.at or other_begin > made.at:
                    continue
                is_ours = other.actor is not None and other.at == other_begin
                if is_ours or other_begin < made.sent_at - oldest:
                    whose = f"{other.by} made it at {other_begin:.3f}" if is_ours else "it was there before"
                    violations.add(
                        f"{family}: the key {key!r} is there twice: {made.by} made it at {made.at:.3f}, and {whose}",
                        key,
                    )
                    return


def _spans(versions: list[Version], path: str) -> Iterator[tuple[str, float, float]]:
    """Yield from when to when a record had a key."""
    key, begin = "", 0.0
    for version in versions:
        new = "" if version.values is None else normal(at_path(version.values, path))
        if new == key:
            continue
        if key:
            yield key, begin, version.at
        key, begin = new, version.at
    if key:
        yield key, begin, float("inf")


def _check_lost_fields(world: World, violations: Violations, *, oldest: float) -> None:
    """A `PUT` of ours sends back every field that no row names, as it was ten seconds before at the earliest."""
    puts = {one.number: one for one in world.ledger if one.verb == "PUT" and one.applied_at is not None}
    for record_id, versions in world.history["customers"].items():
        for before, after in pairwise(versions):
            if after.entry not in puts or before.values is None or after.values is None:
                continue
            lost = _lost_field(versions, before.values, after, oldest)
            if lost:
                violations.add(
                    f"the customer {record_id}: {after.by} wrote {lost} at {after.at:.3f} (request #{after.entry}), a "
                    "field that no row names, from a base that is too old",
                    record_id,
                )
                return


def _lost_field(versions: list[Version], before: Json, after: Version, oldest: float) -> str:
    """Return which field a `PUT` reverted; empty if none."""
    new = dict(_leaves(after.values or {}))
    for name, value in _leaves(before):
        is_ours = name.rpartition(".")[2] in _NAMED or name.partition(".")[0] in _SERVERS
        if is_ours or (new.get(name) or None) == (value or None):
            continue
        if new.get(name) not in _values_since(versions, name, after.sent_at - oldest, after.sent_at):
            return f"{new.get(name)!r} over {value!r} in {name}"
    return ""


def _leaves(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _values_since(versions: list[Version], name: str, since: float, until: float) -> list[Any]:
    """Return the values that a field had in a time."""
    found = []
    for version, end in zip(versions, [*(one.at for one in versions[1:]), float("inf")], strict=True):
        if version.values is not None and end >= since and version.at <= until:
            found.append(at_path(version.values, name))
    return found
