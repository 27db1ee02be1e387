"""Bulk writes of one file: by a key and without, with parts and in batches; one to three runs at once."""

from __future__ import annotations

import contextlib
import csv
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

from benchmarks.simulate.actor import Actor
from benchmarks.simulate.exact import check_exactly
from benchmarks.simulate.kinds import Finished, Kind, Row
from benchmarks.simulate.machine import Process
from benchmarks.simulate.outcomes import check_finished, check_kept, check_made_once

__all__ = ["Import", "read_rows"]


class Import(Actor):
    """A bulk write of rows.

    Attributes:
        kind, rows: what is written.
        delay: when it begins.
        times: how often, with the rows of another day.
        mode: see `bulk_write`.
        has_decoy: whether the first attempt names another program's file as the journal.
        team: by the names of those who write the same records by other keys: the columns that their rows name.
    """

    kind: Kind
    rows: list[Row]
    delay: float = 0.0
    times: int = 1
    mode: str = "upsert"
    has_decoy: bool = False
    team: Mapping[str, frozenset[str]] = MappingProxyType({})
    finished: list[Finished]

    async def live(self) -> None:
        """Run until the report is there, then perhaps once more."""
        self.finished = []
        is_exact = self.internet.calm
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
            # Reads may show what was there before it began.
            began, before = self.machine.loop.now - self.internet.troubles.behind, self.attempts
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
                was_any_stopped=self.machine.was_any_stopped,
                mode=self.mode,
                is_exact=is_exact,
            )
            self.finished.append(finished)
            check_finished(self.violations, finished, self.internet.world)
            if is_exact:
                check_exactly(self.violations, finished, self.internet.world)
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
        """Check that no late request of a run has overwritten what its rows say, and that no row was made twice."""
        if self.finished:
            check_kept(self.violations, self.finished[-1], self.internet.world, team=self.team)
            check_made_once(self.violations, self.finished[-1], self.internet.world)

    async def _run(self, process: Process, source: Path, results: Path) -> Any:
        async with self.client(process) as client:
            family = getattr(client, self.kind.family)
            return await family.bulk_write(
                source,
                match=self.kind.match,
                mode=self.mode,
                defaults=dict(self.kind.defaults),
                results=results,
                journal=self.journal,
                resume=True,
                concurrency=self.dice.choice([1, 3, 20]),
                settle=self.settle,
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


def _changed(row: Row, dice: Random) -> Row:
    """Return a row as the next night's file has it."""
    name = next(one for one in ("first_name", "name") if one in row)
    return {**row, name: f"{row[name]} again"} if dice.random() < 0.5 else row
