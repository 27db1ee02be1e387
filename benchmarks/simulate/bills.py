"""Bulk writes of bills, whose items are lines of a file, and of points: each is made once, with all its items."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.simulate.actor import Actor
from benchmarks.simulate.imports import read_rows
from benchmarks.simulate.kinds import Row
from benchmarks.simulate.machine import Process
from benchmarks.simulate.world import Entry, normal
from carecloud_async.bulk.references import reference_in

__all__ = ["BILLS", "KINDS", "POINTS", "LoyaltyImport", "rows_of"]

BILLS: Final = "bills"
POINTS: Final = "points in bulk"
#: Kind → the family, its key, and what all rows have.
KINDS: Final[Mapping[str, tuple[str, str, Mapping[str, Any]]]] = {
    BILLS: (
        "purchases",
        "external_purchase_id",
        {
            "store_id": "store", "cashdesk_number": 1, "purchase_type_id": "p", "payment_type": "S", "canceled": False,
            "currency_id": "czk", "payment_time": "2026-03-02 10:00:00",
        },
    ),
    POINTS: ("points", "reference", {}),
}  # fmt: skip
#: What is written counts as updated if another run may have made it: see `held_keys`.
_DONE: Final = ("created", "updated", "unchanged")
_ITEM: Final = {
    "plu_ids": "[]", "plu_name": "Bread", "vat_rate": "21", "quantity": "1", "paid_amount": "10", "price": "10",
    "loyalty_off": "false", "purchase_item_type_id": "t",
}  # fmt: skip


def rows_of(kind: str, number: int) -> list[Row]:
    """Return the lines of a file: of bills one, two or three each."""
    if kind == POINTS:  # the reference of one is a part of that of another
        return [{"customer_id": f"c{one % 3}", "reference": f"B{one}", "amount": "5"} for one in range(number)]
    return [
        {"external_purchase_id": f"B{one}", "customer_id": f"c{one % 3}", "total_price": "10.0"}
        | {**_ITEM, "bill_item_id": str(item)}
        for one in range(number)
        for item in range(one % 3 + 1)
    ]


class LoyaltyImport(Actor):
    """A bulk write of bills or points.

    Attributes:
        kind: what is written.
        rows: the lines of the file.
        delay: when it begins (seconds).
        times: how often it is run.
    """

    kind: str
    rows: list[Row]
    delay: float = 0.0
    times: int = 2

    async def live(self) -> None:
        """Run until the report is there, and perhaps once more: the second time nothing is new."""
        is_exact = self.internet.calm
        await self.machine.sleep(self.delay)
        source, results = self.folder / "rows.csv", self.folder / "results.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*self.rows[0]])
            writer.writeheader()
            writer.writerows(self.rows)
        os.utime(source, (self.machine.time(), self.machine.time()))
        self.machine.note_synced()
        for wanted in ("created", "unchanged")[: self.times]:
            if await self.until_done(lambda process: self._run(process, source, results), what=self.kind) is None:
                return
            outcomes = read_rows(results)
            self._check(outcomes)
            if is_exact and {one["outcome"] for one in outcomes} != {wanted}:
                self.violations.add(f"{self.name}: nothing goes wrong, and not every line is {wanted}")
            await self.pause()

    async def _run(self, process: Process, source: Path, results: Path) -> Any:
        family, match, defaults = KINDS[self.kind]
        async with self.client(process) as client:
            return await getattr(client, family).bulk_write(
                source,
                match=match,
                defaults=defaults,
                results=results,
                journal=self.folder / "journal",
                resume=True,
                concurrency=self.dice.choice([1, 3, 20]),
                settle=self.settle,
            )

    def _check(self, results: list[dict[str, str]]) -> None:
        """Check the outcomes: each line has one, and what is said to be there is there."""
        if len(results) != len(self.rows):
            self.violations.add(f"{self.name}: {len(self.rows)} lines, {len(results)} in the results")
        done = [self._key(entry) for entry in self.internet.world.ledger if entry.applied_at is not None]
        for row, result in zip(self.rows, results, strict=False):
            key = _key_of(self.kind, row)
            times = done.count(key)
            is_there = times > 0 or key in self._of_others()
            if result["outcome"] in _DONE and not is_there:
                self.violations.add(f"{self.name}: {key} is {result['outcome']}, and it is not there", key)
            note = f"{row['customer_id']}/[ref: {row['reference']}]" if self.kind == POINTS else key
            if result["outcome"] in ("unknown", "conflict") and times > 1:
                self.internet.world.tell(result["reasons"], key, note)
            is_twice = times > 1 and normal(key) in self.internet.world.told
            if result["outcome"] not in _DONE and key not in self._of_others() and not is_twice:
                self.violations.add(f"{self.name}: {key} is {result['outcome']}: {result['reasons']}", key)

    async def end_calmly(self) -> None:
        """Check that every bill was sent with all its items, and everything is there once because of us."""
        counts: dict[str, int] = {}
        for entry in self.internet.world.ledger:
            if entry.applied_at is None or not (key := self._key(entry)):
                continue
            counts[key] = counts.get(key, 0) + 1
            items = len(entry.body["bill"]["bill_items"]) if self.kind == BILLS else 0
            wanted = sum(_key_of(self.kind, row) == key for row in self.rows) if self.kind == BILLS else 0
            if items != wanted:
                self.violations.add(f"{self.name}: {key} was sent with {items} of {wanted} items", key)
        for key, times in counts.items():
            if times > 1 and normal(key) not in self.internet.world.told:
                self.violations.add(f"{self.name}: {key} was made {times} times", key)

    def _key(self, entry: Entry) -> str:
        """Return the key of what a request made; empty for another request."""
        if self.kind == BILLS and entry.path == "/purchases/actions/send-purchase":
            return str(entry.body["bill"]["bill_id"])
        if self.kind == POINTS and entry.path == "/points/actions/assign-points":
            return f"{entry.body['customer_id']}/{reference_in(entry.body['note'])}"
        return ""

    def _of_others(self) -> set[str]:
        """Return the bills that another program has sent."""
        history = self.internet.world.history["purchases"].values()
        return {one.values["external_purchase_id"] for one, *_ in history if one.actor is None and one.values}


def _key_of(kind: str, row: Row) -> str:
    return row["external_purchase_id"] if kind == BILLS else f"{row['customer_id']}/{row['reference']}"
