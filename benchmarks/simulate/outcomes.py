"""What the ledger says of the outcomes of a bulk write."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

from benchmarks.simulate.actor import Violations
from benchmarks.simulate.kinds import OUT_OF_RANGE, Finished, Row
from benchmarks.simulate.server import FAILS
from benchmarks.simulate.world import Json, Version, World, at_path, normal

__all__ = ["check_finished", "check_kept", "check_made_once", "gave_up", "may_be_unknown"]

#: The reason of a row whose create was lost, and whose key is written only after it.
_NOT_SHOWN: Final = "the key cannot show it"
#: The reason of a create that was refused after its answer was lost.
_REFUSED_LATER: Final = "an earlier answer was lost"
#: The reason of a row whose answer was lost each time.
_LOST_TOO_OFTEN: Final = "each time the answer was lost"
#: The reason of a row on which the server failed each time that it was sent alone.
_FAILED: Final = "the server failed on it"
#: The reason of a row whose record was deleted meanwhile.
_GONE: Final = "the record is gone"
#: Reasons of rows that the API has no operation for.
_NO_WAY: Final = ("the API has no way to change it", "a new record cannot be given it")
#: The reason of a row whose request may have acted, and whose record another program changed.
_LOST: Final = "the answer was lost"
#: Outcomes of rows that may have written a record.
_MAY_HAVE_WRITTEN: Final = ("unknown", "conflict")
#: The reason of the server for a key that another record got meanwhile.
_TAKEN: Final = "not_unique"
#: How often a row is sent alone on which the server fails.
_MAX_ALONE: Final = 3
#: The reason of a lost part whose card another customer has now: it may have been the row's customer's in between.
_CARD_TAKEN: Final = "the card belongs to another customer; the answer was lost"
#: The reason of a row that is there more than once.
_TWICE: Final = " is there "
#: Reasons for which the outcome of a row with a key cannot be known.
_KNOWS_NOT: Final = ("records have", _TWICE, "the record was created", _REFUSED_LATER, _CARD_TAKEN)


def check_finished(violations: Violations, run: Finished, world: World) -> None:
    """Check the outcomes of a run against the ledger, as soon as it has ended."""
    if len(run.results) != len(run.rows) or sum(run.counts.values()) != len(run.rows):
        violations.add(f"{run.actor}: {len(run.rows)} rows, {len(run.results)} in the results, outcomes {run.counts}")
        return
    for row, result in zip(run.rows, run.results, strict=True):
        if result["outcome"] == "unknown":
            world.tell(result.get("reasons", ""), run.kind.key_of(row))
        sentence = _refuted(run, row, result, world)
        if sentence:
            violations.add(
                f"{run.actor}: the row {run.kind.key_of(row) or row['last_name']!r} is {result['outcome']}, "
                f"but {sentence}",
                run.kind.key_of(row).lower(), result.get("record_id", ""), row.get("last_name", "").lower(),
                row.get("name", "").lower(),
            )  # fmt: skip


def _refuted(run: Finished, row: Row, result: Mapping[str, str], world: World) -> str:
    """Return why the ledger refutes an outcome; empty if it does not."""
    outcome, record_id = result["outcome"], result.get("record_id", "")
    if run.kind.match is None:
        return _refuted_without_key(run, row, outcome, world)
    if outcome == "unknown" and any(one in result.get("reasons", "") for one in (_NOT_SHOWN, _REFUSED_LATER)):
        return "" if _may_be_lost(run, row, world) else "no write of it was lost"
    is_twice = (
        outcome == "unknown" and f"it{_TWICE}" in result.get("reasons", "") and run.kind.match in run.kind.columns
    )
    if is_twice and len(_with_key(run, row, world)) < 2:
        return "it was made once"
    if outcome == "unknown" and not may_be_unknown(result.get("reasons", "")):
        return f"its key says what became of it ({result.get('reasons')})"
    if not run.is_exact and (sentence := _refuted_refusal(run, row, result, world)):
        return sentence
    failed = _failures_alone(run, row, world)
    if failed > _MAX_ALONE:
        return f"the server failed on it alone {failed} times in a row"
    if outcome not in ("created", "updated", "unchanged"):
        return ""
    if not record_id:
        candidates = _with_key(run, row, world)
        if run.kind.family == "customers":
            return "it names no record"
    else:
        candidates = [record_id]
    if outcome == "created" and not any(_was_made_by(run, one, world) for one in candidates):
        return "it did not make that record"
    if not any(_had_values(run, row, one, world) for one in candidates):
        return "that record never had the values of the row"
    return _refuted_parts(run, row, record_id, world)


def may_be_unknown(reasons: str) -> bool:
    """Return whether the outcome of a row with a key cannot be known, for the reasons that are given."""
    return any(one in reasons for one in _KNOWS_NOT)


def _may_be_lost(run: Finished, row: Row, world: World) -> bool:
    """Return whether the answer to a write of a row may have been lost: a run that was stopped may have sent it.

    A row without a name leaves the name of its customer as it is.
    """
    names = {row["last_name"], ""}
    return run.was_any_stopped or any(
        entry.path.startswith("/customers") and (not row["last_name"] or _last_name_in(entry.body) in names)
        for entry in world.ledger
        if entry.trouble or entry.heard not in {"200", "201"}
    )


def _last_name_in(body: Json) -> str:
    return str(at_path(body, "customer.personal_information.last_name") or "")


def _refuted_refusal(run: Finished, row: Row, result: Mapping[str, str], world: World) -> str:
    reasons = result.get("reasons", "")
    if _is_bad(row):
        return ""
    if result["outcome"] == "refused":
        knows_why = any(one in reasons for one in _NO_WAY) or (run.kind.has_card and _LOST_TOO_OFTEN not in reasons)
        knows_why = knows_why or (_TAKEN in reasons and bool(_with_key(run, row, world)))
        knows_why = knows_why or (
            _FAILED in reasons
            and gave_up(world, run.actor, is_of=lambda body: _last_name_in(body) == row.get("last_name"))
        )
        return "" if knows_why else f"the server takes it ({reasons})"
    record_id = result.get("record_id", "")
    if _GONE in reasons and world.lived(run.kind.family, record_id, run.began, run.ended):
        return "the record was there all the time"
    return ""


def _is_bad(row: Row) -> bool:
    """Return whether a row is to be refused."""
    return any("!" in value or value in OUT_OF_RANGE for value in row.values())


def _failures_alone(run: Finished, row: Row, world: World) -> int:
    """Return how often in a row a process heard that the server failed on a row that it had sent alone."""
    name = row.get("name") or row.get("last_name", "")
    most, failed = 0, Counter[str]()
    for entry in world.ledger if FAILS in name else ():
        text = json.dumps(entry.body)
        if entry.actor != run.actor or not run.began <= entry.sent_at <= run.ended or json.dumps(name) not in text:
            continue
        is_alone = text.count('"name"') <= 1
        has_heard = entry.heard == "500" and entry.trouble in ("", "slow", "answered late")
        failed[entry.by] = failed[entry.by] + 1 if is_alone and has_heard else 0
        most = max(most, failed[entry.by])
    return most


def gave_up(world: World, actor: str, *, is_of: Callable[[Json], bool]) -> bool:
    """Return whether an actor heard so often that the server failed on a write, and applied none, that it gave it up.

    Args:
        is_of: returns whether a body is of that write.
    """
    failed = sum(
        entry.actor == actor and entry.heard == "500" and entry.applied_at is None and is_of(entry.body)
        for entry in world.ledger
    )
    return failed >= _MAX_ALONE


def _was_made_by(run: Finished, record_id: str, world: World) -> bool:
    """Return whether a run made a record, or cannot know better.

    If it was stopped between its intent and its answer, another run of the same file may have made an equal record. If
    a lock held requests of two runs to the endpoint that makes or changes a record, each finds what it sent.
    """
    versions = world.history[run.kind.family].get(record_id)
    if not versions:
        return False
    first = versions[0]
    was_held = any(
        entry.actor == run.actor and entry.trouble == "held" and record_id in entry.ids for entry in world.ledger
    )
    knows_no_better = run.was_stopped or was_held
    return first.actor == run.actor or (knows_no_better and first.actor is not None and first.at > run.began)


def _with_key(run: Finished, row: Row, world: World) -> list[str]:
    path = run.kind.columns[run.kind.match or ""]
    return world.had(run.kind.family, path, [run.kind.key_of(row)])


def _had_values(run: Finished, row: Row, record_id: str, world: World) -> bool:
    versions = world.history[run.kind.family].get(record_id, [])
    later = [*(one.at for one in versions[1:]), float("inf")]
    for version, end in zip(versions, later, strict=True):
        if version.values is None or end < run.began or version.at > run.ended:
            continue
        if all(
            normal(at_path(version.values, path)) == normal(row[column])
            for column, path in run.kind.columns.items()
            if row.get(column) and column != run.kind.match
        ):
            return True
    return False


def _refuted_parts(run: Finished, row: Row, record_id: str, world: World) -> str:
    if (
        run.kind.has_card
        and row.get("card_number")
        and not _was(world, "cards", run, customer_id=record_id, card_number=row["card_number"])
    ):
        return "the customer never had the card"
    for name, value in row.items():
        if (
            name.startswith("property.")
            and value
            and not _was(
                world, "property_records", run, customer_id=record_id, property_id=name[9:], property_value=value
            )
        ):
            return f"the customer never had {name}"
    return ""


def _was(world: World, family: str, run: Finished, **wanted: str) -> bool:
    """Return whether a record had these values at some time until the run ended."""
    return any(
        one.values is not None
        and one.at <= run.ended
        and all(one.values.get(name) == value for name, value in wanted.items())
        for versions in world.history[family].values()
        for one in versions
    )


def _refuted_without_key(run: Finished, row: Row, outcome: str, world: World) -> str:
    made = sum(
        1
        for versions in world.history[run.kind.family].values()
        if versions[0].actor == run.actor
        and versions[0].values is not None
        and at_path(versions[0].values, "personal_information.last_name") == row["last_name"]
    )
    most = {"created": (1,), "unknown": (0, 1), "refused": (0,)}.get(outcome, ())
    return "" if made in most else f"it was made {made} times"


def check_kept(violations: Violations, run: Finished, world: World, *, team: Mapping[str, frozenset[str]]) -> None:
    """Check that nothing of ours took back what a row of a run has written, and that no row of it was lost.

    Args:
        violations: takes what did not hold.
        run: the run.
        world: the records.
        team: see `Import.team`.
    """
    if run.kind.match is None:
        return
    outcomes = [
        (row, result["outcome"], result.get("record_id", ""))
        for row, result in zip(run.rows, run.results, strict=False)  # `check_finished` tells of rows without a result
        if result["outcome"] in ("created", "updated", "unchanged", "unknown")
        or (result["outcome"] == "conflict" and _LOST in result.get("reasons", ""))
    ]
    for number, (row, outcome, record_id) in enumerate(outcomes):
        if outcome in _MAY_HAVE_WRITTEN or not record_id:
            continue
        # A row whose outcome is unknown, or that lost its answer and met another program, may have written any record.
        after = outcomes[number + 1 :]
        later = [other for other, what, other_id in after if other_id == record_id or what in _MAY_HAVE_WRITTEN]
        lost = _taken_back(run, row, later, world.history[run.kind.family].get(record_id, []), team)
        if lost:
            violations.add(
                f"{run.actor}: the row {run.kind.key_of(row)!r} was written, and {lost}",
                run.kind.key_of(row),
                record_id,
            )


def _taken_back(
    run: Finished, row: Row, later: list[Row], versions: list[Version], team: Mapping[str, frozenset[str]]
) -> str:
    for column, path in run.kind.columns.items():
        value = row.get(column)
        if not value or column == run.kind.match or any(other.get(column) for other in later):
            continue
        ours = {run.actor, *(name for name, columns in team.items() if column not in columns)}
        until_end = [one for one in versions if one.at <= run.ended]
        if not until_end:
            continue
        if not _says(until_end[-1], path, value) and _first_without(until_end, path, value).actor in ours:
            return f"its {column} is not there at the end"
        for before, after in pairwise([*until_end[-1:], *(one for one in versions if one.at > run.ended)]):
            if _says(before, path, value) and not _says(after, path, value) and after.actor in ours:
                return f"its {column} was taken back at {after.at:.3f} by our request #{after.entry}"
    return ""


def _says(version: Version, path: str, value: str) -> bool:
    return version.values is not None and at_path(version.values, path) == value


def _first_without(versions: list[Version], path: str, value: str) -> Version:
    """Return the version with which a value went, or the first one if it never was there."""
    with_it = [number for number, one in enumerate(versions) if _says(one, path, value)]
    return versions[with_it[-1] + 1 if with_it else 0]


def check_made_once(violations: Violations, run: Finished, world: World) -> None:
    """Check that no row was made twice whose key does not show it, since it is written after the record."""
    if run.kind.match != "card_number":
        return
    for row in run.rows:
        lives = [
            (versions[0].at, versions[-1].at if versions[-1].values is None else math.inf)
            for versions in world.history["customers"].values()
            if versions[0].actor is not None
            and row["last_name"]
            and at_path(versions[0].values or {}, "personal_information.last_name") == row["last_name"]
        ]
        if any(begin < end for (_, end), (begin, _) in pairwise(sorted(lives))):
            violations.add(f"{run.actor}: the customer of the row {run.kind.key_of(row)!r} was made twice")
