"""Bulk writes of one file: by a key and without, with parts and in batches; one to three runs at once."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from benchmarks.simulate.actor import Actor
from benchmarks.simulate.machine import Process
from benchmarks.simulate.server import FAILS, REFUSED
from benchmarks.simulate.world import Version, World, at_path

__all__ = ["KINDS", "Finished", "Import", "Kind", "Row"]

Row = dict[str, str]
SOURCE: Final = "86e05affc7a7abefcd513ab400"


@frozen(kw_only=True)
class Kind:
    """A kind of bulk write.

    Attributes:
        family: the family's name in the client and in the world.
        match: the key.
        columns: column → dotted field of the record, of the columns that are fields of the record.
        defaults: see `bulk_write`.
        has_card, has_property: whether rows have these parts.
    """

    family: str
    match: str | None
    columns: Mapping[str, str]
    defaults: Mapping[str, str] = field(factory=dict)
    has_card: bool = False
    has_property: bool = False

    def key_of(self, row: Row) -> str:
        """Return the key of a row."""
        return row.get(self.match or "", "")


#: The reason of a row whose answer was lost each time.
_LOST_TOO_OFTEN: Final = "each time the answer was lost"
#: How often a row is sent alone on which the server fails.
_MAX_ALONE: Final = 3
#: Reasons for which the outcome of a row with a key cannot be known.
_KNOWS_NOT: Final = ("records have", "the record was created")
_PERSON: Final = {name: f"personal_information.{name}" for name in ("email", "first_name", "last_name", "language_id")}
_DEFAULTS: Final = {"customer_source_id": SOURCE}
KINDS: Final[Mapping[str, Kind]] = {
    "by email": Kind(family="customers", match="email", columns=_PERSON, defaults=_DEFAULTS),
    "by external id": Kind(family="customers", match="external_id", columns=_PERSON, defaults=_DEFAULTS),
    "by card": Kind(
        family="customers", match="card_number", columns=_PERSON, has_card=True, has_property=True,
        defaults={**_DEFAULTS, "card_type_id": "type"},
    ),
    "with parts": Kind(
        family="customers", match="email", columns=_PERSON, has_card=True, has_property=True,
        defaults={**_DEFAULTS, "card_type_id": "type"},
    ),
    "without a key": Kind(family="customers", match=None, columns=_PERSON, defaults=_DEFAULTS),
    "products by code": Kind(family="products", match="code", columns={"name": "name", "code": "code"}),
    "products by external id": Kind(
        family="products", match="external_id", columns={"name": "name", "external_id": "external_id"}
    ),
    "brands": Kind(
        family="product_brands", match="external_id", columns={"name": "name", "external_id": "external_id"}
    ),
}  # fmt: skip


@frozen(kw_only=True)
class Finished:
    """A run that has ended.

    Attributes:
        actor: who ran it.
        kind: the kind.
        began, ended: when.
        results: the rows of its results file.
        counts: the outcomes of its report that are not zero.
        rows: its rows.
        was_stopped: whether it was resumed.
    """

    actor: str
    kind: Kind
    began: float
    ended: float
    results: list[dict[str, str]]
    counts: dict[str, int]
    rows: list[Row]
    was_stopped: bool


class Import(Actor):
    """A bulk write of rows.

    Attributes:
        kind, rows: what is written.
        delay: when it begins.
        times: how often, with the rows of another day.
        has_decoy: whether the first attempt names another program's file as the journal.
        team: by the names of those who write the same records by other keys: the columns that their rows name.
    """

    kind: Kind
    rows: list[Row]
    delay: float = 0.0
    times: int = 1
    has_decoy: bool = False
    team: Mapping[str, frozenset[str]] = MappingProxyType({})
    finished: list[Finished]

    async def live(self) -> None:
        """Run until the report is there, then perhaps once more."""
        self.finished = []
        await self.machine.sleep(self.delay)
        source, results = self.folder / "rows.csv", self.folder / "results.csv"
        self.journal = self.folder / "journal"
        if self.has_decoy:
            await self._try_decoy(source, results)
        for number in range(self.times):
            if number and self.kind.match is not None:
                self.rows = [_changed(row, self.dice) for row in self.rows]
            if not number or self.kind.match is not None:
                write_rows(source, self.rows)
                os.utime(source, (self.machine.time(), self.machine.time()))
                self.machine.note_synced()
            began, before = self.machine.loop.now, self.attempts
            report = await self.until_done(
                lambda process: self._run(process, source, results),
                what=f"a bulk write of {self.kind.family} by {self.kind.match}, {len(self.rows)} rows",
            )
            if report is None:
                return
            names = ("created", "updated", "unchanged", "refused", "conflict", "unknown")
            finished = Finished(
                actor=self.name,
                kind=self.kind,
                began=began,
                ended=self.machine.loop.now,
                results=read_rows(results),
                counts={name: getattr(report, name) for name in names},
                rows=self.rows,
                was_stopped=self.attempts > before + 1,
            )
            self.finished.append(finished)
            check_finished(self, finished, self.internet.world)
            await self.pause()

    async def _try_decoy(self, source: Path, results: Path) -> None:
        """Name the database of another program as the journal, by mistake: it is refused and left alone."""
        write_rows(source, self.rows)
        decoy = self.folder / "other.db"
        with contextlib.closing(sqlite3.connect(decoy)) as database:
            database.execute("CREATE TABLE bills (number TEXT)")
            database.commit()
        self.machine.note_synced()
        content, self.journal = decoy.read_bytes(), decoy
        ending = await self.attempt(lambda process: self._run(process, source, results), what="with a wrong journal")
        self.journal = self.folder / "journal"
        if not decoy.exists() or decoy.read_bytes() != content:
            self.violations.add(f"{self.name}: the database of another program, named as the journal, was changed")
        elif ending.result is not None:
            self.violations.add(f"{self.name}: the database of another program was taken as a journal")

    async def end_calmly(self) -> None:
        """Check that no late request of a run has overwritten what its rows say."""
        if self.finished:
            check_kept(self, self.finished[-1], self.internet.world)

    async def _run(self, process: Process, source: Path, results: Path) -> Any:
        async with self.client(process) as client:
            family = getattr(client, self.kind.family)
            return await family.bulk_write(
                source,
                match=self.kind.match,
                defaults=dict(self.kind.defaults),
                results=results,
                journal=self.journal,
                resume=True,
                concurrency=self.dice.choice([1, 3, 20]),
            )


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write a source."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a results file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def check_finished(actor: Import, run: Finished, world: World) -> None:
    """Check the outcomes of a run against the ledger, as soon as it has ended."""
    violations = actor.violations
    if len(run.results) != len(run.rows) or sum(run.counts.values()) != len(run.rows):
        violations.add(f"{run.actor}: {len(run.rows)} rows, {len(run.results)} in the results, outcomes {run.counts}")
        return
    for row, result in zip(run.rows, run.results, strict=True):
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
    if outcome == "unknown" and not any(one in result.get("reasons", "") for one in _KNOWS_NOT):
        return f"its key says what became of it ({result.get('reasons')})"
    if outcome == "refused" and _LOST_TOO_OFTEN in result.get("reasons", "") and not _is_bad(row):
        return "the server fails on another row"
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


def _is_bad(row: Row) -> bool:
    """Return whether the server cannot take a row."""
    return any(FAILS in value or REFUSED in value for value in row.values())


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


def _was_made_by(run: Finished, record_id: str, world: World) -> bool:
    """Return whether a run made a record, or cannot know better.

    If it was stopped between its intent and its answer, another run of the same file may have made an equal record.
    """
    versions = world.history[run.kind.family].get(record_id)
    if not versions:
        return False
    first = versions[0]
    return first.actor == run.actor or (run.was_stopped and first.actor is not None and first.at > run.began)


def _with_key(run: Finished, row: Row, world: World) -> list[str]:
    path = run.kind.columns[run.kind.match or ""]
    return [
        record_id
        for record_id, versions in world.history[run.kind.family].items()
        if any(one.values is not None and at_path(one.values, path) == run.kind.key_of(row) for one in versions)
    ]


def _had_values(run: Finished, row: Row, record_id: str, world: World) -> bool:
    versions = world.history[run.kind.family].get(record_id, [])
    later = [*(one.at for one in versions[1:]), float("inf")]
    for version, end in zip(versions, later, strict=True):
        if version.values is None or end < run.began or version.at > run.ended:
            continue
        if all(
            at_path(version.values, path) == row[column]
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


def _changed(row: Row, dice: Random) -> Row:
    """Return a row as the next night's file has it."""
    name = next(one for one in ("first_name", "name") if one in row)
    return {**row, name: f"{row[name]} again"} if dice.random() < 0.5 else row


def check_kept(actor: Import, run: Finished, world: World) -> None:
    """Check that nothing of ours took back what a row of a run has written, and that no row of it was lost."""
    if run.kind.match is None:
        return
    written = [
        (row, result["record_id"])
        for row, result in zip(run.rows, run.results, strict=True)
        if result["outcome"] in ("created", "updated", "unchanged") and result.get("record_id")
    ]
    for row, record_id in written:
        later = [other for other, other_id in written[written.index((row, record_id)) + 1 :] if other_id == record_id]
        lost = _taken_back(run, row, later, world.history[run.kind.family].get(record_id, []), actor.team)
        if lost:
            actor.violations.add(
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
