"""Segments that are brought in line with sources, while others change them."""

from __future__ import annotations

from random import Random
from typing import Any, Final, Literal

import anyio

from benchmarks.simulate.actor import Actor
from benchmarks.simulate.machine import Process
from benchmarks.simulate.troubles import LATEST
from benchmarks.simulate.world import Entry, World
from carecloud_async.bulk import BulkWriteError

__all__ = ["SEGMENTS", "OtherClerk", "SegmentSync"]

SEGMENTS: Final = "segments"
_PATH: Final = "/segments/s1/actions/"
_OTHER: Final = "another program"


class SegmentSync(Actor):
    """A program that brings one segment in line with sets of customers, one after another.

    Attributes:
        mode: how.
        match: the key of a customer: `customer_id` or `email`.
        sources: the sets, by numbers of customers.
        delay: when it begins (seconds).
    """

    mode: Literal["add", "remove", "mirror"]
    match: str
    sources: list[frozenset[int]]
    delay: float = 0.0

    async def live(self) -> None:
        """Bring the segment in line with each set."""
        await self.machine.sleep(self.delay)
        for number in range(len(self.sources)):
            if not await self._one(number):
                return
            await self.pause()
            if self.attempts > number + 1:
                # The requests of a killed run may still arrive: wait until they cannot.
                await self.machine.sleep(LATEST)

    async def end_calmly(self) -> None:
        """Bring it in line with the last set once more, when nothing goes wrong: it is so then."""
        number = len(self.sources) - 1
        report = await self._one(number)
        if report is None:
            return
        if not report.complete:
            self.violations.add(f"{self.name}: nothing goes wrong, and the report is {report}")
        for customer in self._customers():
            if self._is_wrong(number, customer, self._members()):
                self.violations.add(f"{self.name}: {customer} is not as asked after a calm run", customer)

    async def _one(self, number: int) -> Any:
        report = await self.until_done(
            lambda process: self._run(process, number), what=f"{self.mode} {self.match} {sorted(self.sources[number])}"
        )
        if report is not None and report.complete:
            now = self._members()
            for customer in self._customers():
                if self._is_wrong(number, customer, now) and customer not in self._foreign():
                    self.violations.add(
                        f"{self.name}: {customer} is not as asked, and the report is complete", customer
                    )
        return report

    async def _run(self, process: Process, number: int) -> Any:
        keys = [f"k{one}@x.cz" if self.match == "email" else f"c{one}" for one in sorted(self.sources[number])]
        before, first = self._members(), len(self.internet.world.ledger)
        async with self.client(process) as client:
            sync = client.segments.sync
            rows: list[Any] = [{self.match: key} for key in keys]
            shrinks = self.dice.random() < 0.5 or not rows
            options: Any = {"mode": self.mode, "match": self.match, "concurrency": 3}
            try:
                return await sync("s1", rows, allow_shrink=shrinks, **options)
            except BulkWriteError:
                shrinks = True  # as a person does who has looked at it
                return await sync("s1", rows, allow_shrink=True, **options)
            finally:
                self._check_writes(process.name, number, self.internet.world.ledger[first:], before, shrinks=shrinks)

    def _check_writes(self, process: str, number: int, ledger: list[Entry], before: set[str], *, shrinks: bool) -> None:
        removed = set[str]()
        for entry in ledger:
            if entry.by != process:
                continue
            customer = entry.body["customer_id"]
            is_wanted = int(customer[1:]) in self.sources[number]
            if entry.path == f"{_PATH}remove-customer":
                removed.add(customer)
                if self.mode == "add" or is_wanted == (self.mode == "mirror"):
                    self.violations.add(f"{process} removed {customer}, which nobody asked for", customer)
            elif not is_wanted or self.mode == "remove":
                self.violations.add(f"{process} added {customer}, which nobody asked for", customer)
        # A request of a process that was stopped may have added one since.
        late = {
            entry.body["customer_id"]
            for entry in self.internet.world.ledger
            if entry.by != process and entry.path == f"{_PATH}add-customer"
        }
        may_be_members = before | removed | late | self._foreign()
        if self.mode == "mirror" and not shrinks and len(removed - self._foreign()) * 2 > len(may_be_members):
            self.violations.add(f"{process} removed {len(removed)} of {len(before)} members without being allowed to")

    def _is_wrong(self, number: int, customer: str, members: set[str]) -> bool:
        is_wanted = int(customer[1:]) in self.sources[number]
        if self.mode == "mirror":
            return (customer in members) != is_wanted
        return is_wanted and (customer in members) == (self.mode == "remove")

    def _customers(self) -> list[str]:
        return sorted(self.internet.world.records["customers"])

    def _members(self) -> set[str]:
        return {one["customer_id"] for one in self.internet.world.records["segment_records"].values()}

    def _foreign(self) -> set[str]:
        """Return the customers whom another program brought into the segment or took out of it."""
        return {
            version.values["customer_id"]
            for versions in self.internet.world.history["segment_records"].values()
            for version in versions
            if version.values is not None and any(one.by == _OTHER for one in versions)
        }


class OtherClerk:
    """Another program, which brings customers into the segment and takes them out of it at random times.

    Args:
        world: the records.
        seed: the seed.
        busy: its writes.
        longest: until when it works (seconds).
    """

    def __init__(self, world: World, *, seed: str, busy: int, longest: float) -> None:
        self._world = world
        self._dice = Random(f"{seed} other clerk")
        self._busy = busy
        self._longest = longest

    async def live(self) -> None:
        """Write now and then."""
        for at in sorted(self._dice.uniform(0, self._longest) for _ in range(self._busy)):
            await anyio.sleep(max(at - self._world.now(), 0))
            self._world.change_member(self._dice.choice([*self._world.records["customers"]]), by=_OTHER)
