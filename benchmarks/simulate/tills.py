"""A till with an outbox: it sells while the network fails, is killed, and begins again with its file."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import anyio

from benchmarks.sale import bill
from benchmarks.simulate.actor import Actor
from benchmarks.simulate.machine import Ending, Process
from benchmarks.simulate.outcomes import gave_up
from benchmarks.simulate.world import Json, normal
from carecloud_async import CareCloudError
from carecloud_async.bulk.references import reference_in

__all__ = ["STORE", "Till"]

STORE: Final = "store"
#: How long before its end a process has told other programs what it made (seconds).
_UNTOLD: Final = 1.0


class Till(Actor):
    """Puts bills and points, and closes when all of them went out.

    Attributes:
        sales: what it sells: kind, number and customer, in their order.
        shared: whether another till sells the same under the same numbers.
    """

    sales: list[tuple[str, str, str]]
    shared: bool = False

    async def live(self) -> None:
        """Sell until everything was sold and sent."""
        self.stored: list[tuple[str, str, str]] = []
        await self.until_done(self._sell, what=f"a till, {len(self.sales)} sales")

    async def attempt(self, work: Callable[[Process], Coroutine[Any, Any, Any]], *, what: str) -> Ending:
        """See `Actor`; what a process made just before it was killed may be hidden from tills that sell the same."""
        ending = await super().attempt(work, what=what)
        if self.shared and self.internet.troubles.behind and ending == Ending():
            # It could not tell the others' claims any more, and reads do not show it yet.
            by, since = f"{self.name}.{self.attempts}", self.machine.loop.now - _UNTOLD
            for entry in self.internet.world.ledger:
                if entry.by == by and entry.applied_at is not None and entry.applied_at > since:
                    self.internet.world.told.update(entry.ids)
                    self.internet.world.told.update(number for _, number, _ in _done([entry]))
        return ending

    async def _sell(self, process: Process) -> Any:
        async with self.client(process) as client, client.outbox(self.folder / "till.db", settle=self.settle) as outbox:
            for sale in self.sales[len(self.stored) :]:
                kind, number, customer = sale
                await self._wait_for_customer()
                if kind == "bill":
                    place = {"store_id": STORE, "cashdesk_number": 1, "customer_id": customer}
                    await outbox.put(client.purchases.send_purchase, bill(number), **place)
                else:
                    points = client.points.assign_points
                    await outbox.put(points, amount=5.0, customer_id=customer, reference=number)
                if process.dead:
                    return None
                self.stored.append(sale)
                self.story.tell(self.name, f"has stored {sale}", number, customer)
            for _ in range(120):
                await outbox.flush(timeout=60)
                if not outbox.waiting:
                    break
            else:
                raise CareCloudError("something waits for too long")
            for failed in await outbox.failures():
                number = failed.label.split()[-1]
                notes = [f"{customer}/[ref: {number}]" for _, one, customer in self.sales if one == number]
                self.internet.world.tell("; ".join(failed.reasons), number, *notes)
                times = sum(one == number for _, one, _ in _done(self.internet.world.ledger))
                if normal(number) in self.internet.world.told or (times > 1 and self.shared):
                    continue  # another till may have been told
                if not gave_up(self.internet.world, self.name, is_of=partial(_names, number)):
                    self.violations.add(f"{self.name}: {failed.label} failed: {failed.reasons}", number)
            return "all is sent"

    async def _wait_for_customer(self) -> None:
        await anyio.sleep(self.dice.choice([0.0, 0.0, 0.2, self.dice.uniform(0, 30)]))

    async def end_calmly(self) -> None:
        """Check that everything that was stored is there once, in the order of each customer."""
        done = _done(self.internet.world.ledger)
        places: dict[str, int] = {}
        for sale in self.stored:
            kind, number, customer = sale
            found = [place for place, one in enumerate(done) if one == sale]
            if kind == "bill" and number in self._of_others() and len(found) < 2:
                continue  # ours may act after the other one was found
            self.internet.tallies[_fate(len(found), is_told=normal(number) in self.internet.world.told)] += 1
            if len(found) > 1 and normal(number) in self.internet.world.told:
                continue
            if not found and gave_up(self.internet.world, self.name, is_of=partial(_names, number)):
                continue  # it was told as failed
            if len(found) != 1:
                self.violations.add(f"{self.name}: {kind} {number} is there {len(found)} times", number)
                continue
            if found[0] < places.get(customer, -1) and not self.shared:
                self.violations.add(f"{self.name}: {kind} {number} overtook an earlier one of {customer}", number)
            places[customer] = found[0]

    def _of_others(self) -> set[str]:
        """Return the bills that another program has sent."""
        history = self.internet.world.history["purchases"].values()
        return {one.values["external_purchase_id"] for one, *_ in history if one.actor is None and one.values}


def _fate(times: int, *, is_told: bool) -> str:
    if times < 2:
        return "sales made once" if times else "sales lost"
    return "sales made more than once, and failed as unknown with the ids" if is_told else "sales doubled, and not told"


def _done(ledger: list[Any]) -> list[tuple[str, str, str]]:
    """Return what the server did, in its order."""
    done = []
    for entry in sorted((one for one in ledger if one.applied_at is not None), key=lambda one: one.applied_at):
        body = entry.body
        if entry.path == "/purchases/actions/send-purchase":
            done.append(("bill", body["bill"]["bill_id"], body["customer_id"]))
        elif entry.path == "/points/actions/assign-points":
            done.append(("points", reference_in(body["note"]) or "", body["customer_id"]))
    return done


def _names(number: str, body: Json) -> bool:
    return number in json.dumps(body)
