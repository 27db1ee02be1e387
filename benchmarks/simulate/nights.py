"""Nights of changes and exports: a mirror of a list, made of what each night tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.simulate.actor import Actor
from benchmarks.simulate.machine import Process
from benchmarks.simulate.network import Sight
from benchmarks.simulate.world import FAMILIES, Json
from carecloud_async import ExportError, ExportReport
from carecloud_async._lists.export.job import write_export
from carecloud_async._lists.export.report import Written

__all__ = ["Export", "Night", "StateExport"]

#: What a file holds that another program put where ours is to stand.
FOREIGN: Final = b"the file of another program\n"


def _same(values: Json | None, shown: Json) -> bool:
    """Return whether a record was shown as it was; times may be shown otherwise."""
    return values is not None and {**values, "last_change": 0} == {**shown, "last_change": 0}


class _Reader(Actor):
    """An actor who reads one list.

    Attributes:
        family: the list.
        count: the records of a page that it asks for; `None` to let the package choose.
        concurrency: pages in flight.
    """

    family: str = "customers"
    count: int | None = None
    concurrency: int = 1

    @property
    def path(self) -> str:
        """The path of the list."""
        return f"/{self.family.replace('_', '-')}"

    async def until_done(self, *arguments: Any, **options: Any) -> Any:
        """Read until it is done; count its report, unless nothing goes wrong: it must be exact then."""
        report = await super().until_done(*arguments, **options)
        if report is not None and not report.finished_before and not self.internet.calm:
            self.internet.reports[bool(report.exact)] += 1
        return report

    def listing(self, client: Any) -> Any:
        """Return the list of a client."""
        paging = {} if self.count is None else {"count": self.count}
        return getattr(client, self.family).list(**paging)

    def was_seen_whole(self, process: str | None, since: float) -> bool:
        """Return whether an answer did not say that the list is empty, though it is not."""
        return any(not one.is_emptied for one in self.sights(process, since))

    def sights(self, process: str | None, since: float) -> Iterator[Sight]:
        """Yield the pages of the list that a process was shown, or any process of this actor."""
        for one in self.internet.sights:
            is_own = one.by == process if process else one.by.startswith(f"{self.name}.")
            if one.at >= since and one.path == self.path and is_own:
                yield one

    def is_exact_when_calm(self, report: Any) -> bool:
        """Return whether a reading is exact, which it must be when nothing goes wrong and the list has records."""
        if not report.exact and self.internet.calm and self.internet.world.records[self.family]:
            reasons = ", ".join(report.reasons)
            self.violations.add(f"{self.name}: a calm list was not read exactly: {reasons}", self.family)
        return bool(report.exact)

    def shown(self, record_id: str) -> Json:
        """Return a record as the list shows it now."""
        server = self.internet.server
        id_field = FAMILIES[self.family].id_field
        shown = server.shown(self.internet.world.records[self.family][record_id], id_field)
        return {**shown, id_field: record_id}


class Night(_Reader):
    """Changes of a list, night after night, applied to a mirror.

    Attributes:
        nights: how many.
        as_file: whether changes come as a file, or one by one.
        has_rival: whether a second run is started now and then before the first has ended.
        may_clash: whether another program may put a file where ours is to stand.
    """

    nights: int = 3
    as_file: bool = False
    has_rival: bool = False
    may_clash: bool = False

    async def live(self) -> None:
        """Take the changes of each night."""
        self.mirror: dict[str, Any] = {}
        self.state = self.folder / "list.state"
        self.target = self.folder / "changes.jsonl"
        self.names = 0
        self.since = 0.0
        self.told: set[str] = set()
        for _ in range(self.nights):
            if not await self._one():
                return
            await self.pause(3600.0)

    async def end_calmly(self) -> None:
        """Take the changes once more, when nothing goes wrong: the mirror is the list then."""
        if self.violations.found:
            return
        report = await self._one()
        if report is not None and report.finished_before:  # what a killed run had read before the last changes
            report = await self._one()
        if report is None or not self.is_exact_when_calm(report):
            return
        records = self.internet.world.records[self.family]
        for record_id in sorted({*self.mirror, *records}):
            shown = self.shown(record_id) if record_id in records else None
            if self.mirror.get(record_id) != shown:
                what = "is missing in" if record_id not in self.mirror else "stays in"
                if record_id in self.mirror and record_id in records:
                    what = "is out of date in"
                self.violations.add(f"{self.name}: {record_id} {what} the mirror after a calm night", record_id)
                return

    async def _one(self) -> Any:
        """Take the changes of one night; return the report."""
        self.since, self.told = self.machine.loop.now, set()
        if self.has_rival and self.dice.random() < 0.5 and not self.internet.calm:
            self.machine.loop.create_task(self._rival())
        what = f"the changes of {self.family}{' as a file' if self.as_file else ''}"
        return await self.until_done(self._take_file if self.as_file else self._take, what=what)

    async def _rival(self) -> None:
        await self.machine.sleep(self.dice.uniform(0, 3))
        await self.attempt(self._take_file if self.as_file else self._take, what="the same once more")

    async def _take(self, process: Process) -> Any:
        async with self.client(process, is_reader=True) as client:
            changes = self.listing(client).changes(state=self.state, allow_shrink=True, concurrency=self.concurrency)
            async with changes:
                async for one in changes:
                    self._apply(process.name, one.kind, one.id, None if one.raw is None else json.loads(one.raw))
            return changes.report

    async def _take_file(self, process: Process) -> Any:
        self._load(process.name)
        if self.may_clash and self.dice.random() < 0.4 and not self.internet.calm:
            process.plans[process.steps + self.dice.randint(1, 60)] = self._put_foreign_file
        async with self.client(process, is_reader=True) as client:
            try:
                changes = self.listing(client).changes(
                    state=self.state, allow_shrink=True, concurrency=self.concurrency
                )
                report = await changes.to_file(self.target)
            except ExportError:
                self._step_aside()
                raise
        self._load(process.name)
        return report

    def _put_foreign_file(self) -> None:
        if not self.target.exists():
            self.story.tell("another program", f"makes the file {self.target.name}")
            self.target.write_bytes(FOREIGN)

    def _step_aside(self) -> None:
        """Do what a person does whose target is taken: name another file, or remove the one that is there."""
        if self.target.exists() and FOREIGN.startswith(self.target.read_bytes()):
            if self.dice.random() < 0.5:
                self.names += 1
                self.target = self.folder / f"changes{self.names}.jsonl"
                self.story.tell(self.name, f"names another file: {self.target.name}")
            else:
                self.target.unlink()
                self.story.tell(self.name, "removes the file of the other program")

    def _load(self, process: str) -> None:
        """Apply a file of changes to the mirror, and remove it."""
        for path in sorted(self.folder.glob("changes*.jsonl")):
            content = path.read_bytes()
            if FOREIGN.startswith(content):
                continue
            for line in content.splitlines():
                one = json.loads(line)
                self._apply(process, one["change"], one["id"], one["record"])
            path.unlink()

    def _apply(self, process: str, kind: str, record_id: str, record: Any) -> None:
        if kind == "deleted":
            self._check_deletion(process, record_id)
            self.mirror.pop(record_id, None)
        else:
            id_field = FAMILIES[self.family].id_field
            self.mirror[record_id] = {**record, id_field: str(record[id_field])}

    def _check_deletion(self, process: str, record_id: str) -> None:
        now = self.machine.loop.now
        is_new = record_id not in self.told
        self.told.add(record_id)
        if is_new and self.internet.world.lived(self.family, record_id, self.since, now):
            self.violations.add(f"{process} tells that {record_id} is deleted, and it lives", record_id)


class Export(_Reader):
    """Exports of a list, resumed until they are whole.

    Attributes:
        suffix: the format.
    """

    suffix: str = "jsonl"
    times: int = 1
    _began_anew: float = 0.0  # when the last attempt began that found nothing to resume

    async def live(self) -> None:
        """Export."""
        for number in range(self.times):
            began = self.machine.loop.now
            target = self.folder / f"list{number}.{self.suffix}"
            report = await self.until_done(
                lambda process, target=target: self._export(process, target),  # type: ignore[misc]
                what=f"an export of {self.family}",
            )
            if report is None:
                return
            self._check(target, report, began)
            await self.pause()

    async def end_calmly(self) -> None:
        """Export once more, when nothing goes wrong."""
        began, target = self.machine.loop.now, self.folder / f"calm.{self.suffix}"
        report = await self.until_done(lambda process: self._export(process, target), what="a calm export")
        if report is not None and self.is_exact_when_calm(report):
            self._check(target, report, began)

    async def _export(self, process: Process, target: Path) -> Any:
        if not any(one.stat().st_size for one in self.folder.glob(f".{target.name}*/records*")):
            self._began_anew = self.machine.loop.now
        async with self.client(process, is_reader=True) as client:
            return await self.listing(client).export(target, resume=True, concurrency=self.concurrency)

    def _check(self, target: Path, report: Any, began: float) -> None:
        lines = [json.loads(line) for line in target.read_bytes().splitlines()]
        id_field = FAMILIES[self.family].id_field
        lines = [{**one, id_field: str(one[id_field])} for one in lines]
        ids = [one[id_field] for one in lines]
        if len(ids) != report.records:
            self.violations.add(f"{self.name}: the file has {len(ids)} records, the report says {report.records}")
        if not report.exact:
            return
        world, now = self.internet.world, self.machine.loop.now
        twice = {one for one in ids if ids.count(one) > 1}
        if twice:
            self.violations.add(f"{self.name}: {min(twice)} is in the exact file twice", min(twice))
        for record_id in world.records[self.family]:
            if record_id in ids or not world.lived(self.family, record_id, began, now):
                continue
            # A run that begins again does not know what a killed one was shown.
            process, since = (None, self._began_anew) if report.resumed else (f"{self.name}.{self.attempts}", began)
            if self.was_seen_whole(process, since):
                self.violations.add(
                    f"{self.name}: {record_id} lived all the time and is not in the exact file", record_id
                )
                return
        for one in lines:
            versions = world.history[self.family].get(one[id_field], [])
            if not any(_same(version.values, one) for version in versions):
                self.violations.add(f"{self.name}: {one[id_field]} is in the file as it never was", one[id_field])
                return


class StateExport(_Reader):
    """Exports of what changed since the night before, applied to a mirror: of what is created and changed.

    Attributes:
        nights: how many.
        overwrites: whether each night has the same file, which a run replaces, and is applied when the run has ended.
        resumes: whether a run continues the one that was killed, where each night has a file of its own.
        delay: when the first one begins.
    """

    nights: int = 3
    overwrites: bool = False
    resumes: bool = True
    delay: float = 0.0

    async def live(self) -> None:
        """Export each night."""
        await self.machine.sleep(self.delay)
        self.mirror: dict[str, Any] = {}
        self.number = 0
        self.was_exact = True
        for _ in range(self.nights):
            if not await self._one():
                return
            await self.pause(3600.0)

    async def end_calmly(self) -> None:
        """Export once more, when nothing goes wrong: all that is in the list is in the mirror then."""
        if self.violations.found:
            return
        report = await self._one()
        if report is not None and report.finished_before:
            report = await self._one()
        if report is None or not self.is_exact_when_calm(report) or not self.was_exact:
            return
        for record_id in sorted(self.internet.world.records[self.family]):
            if str(self.shown(record_id)["last_change"]).startswith("0000"):
                continue  # which says that it never changed
            if self.mirror.get(record_id) != self.shown(record_id):
                what = "out of date" if record_id in self.mirror else "missing"
                self.violations.add(f"{self.name}: {record_id} is {what} in the mirror after exact exports", record_id)
                return

    async def _one(self) -> Any:
        self.number += 1
        target = self.folder / f"night{0 if self.overwrites else self.number}.jsonl"
        report = await self.until_done(
            lambda process: self._export(process, target), what=f"an export of what changed in {self.family}"
        )
        if report is not None:
            self.was_exact = self.was_exact and report.exact
            for line in target.read_bytes().splitlines():
                record = json.loads(line)
                id_field = FAMILIES[self.family].id_field
                self.mirror[str(record[id_field])] = {**record, id_field: str(record[id_field])}
        return report

    def _plan_harm(self, process: Process) -> None:
        # What a kill does between the mark and the exit code, no run can see: signals are held back there.
        if self.overwrites:
            process.plans[int(2 ** self.dice.uniform(0, 8.5))] = lambda: self._cancel_soon(process)
        else:
            super()._plan_harm(process)

    async def _export(self, process: Process, target: Path) -> Any:
        written: list[Written[ExportReport]] = []
        try:
            async with self.client(process, is_reader=True) as client:
                exported = await write_export(
                    self.listing(client).export_source(),
                    target,
                    resume=self.resumes and not self.overwrites,
                    overwrite=self.overwrites,
                    state=self.folder / "list.state",
                    concurrency=self.concurrency,
                )
                written.append(exported)
            if not self.resumes:
                process.plans.clear()  # a run that begins again cannot see that the mark has moved for it
            written[0].confirm()
            return written[0].report
        finally:
            for one in written:
                one.close()
