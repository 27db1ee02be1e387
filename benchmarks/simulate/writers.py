"""A bulk writer fed by a queue: what was not acknowledged is delivered again."""

from __future__ import annotations

from typing import Any

import anyio

from benchmarks.simulate.actor import Actor
from benchmarks.simulate.kinds import SOURCE, Row
from benchmarks.simulate.machine import Process
from benchmarks.simulate.outcomes import may_be_unknown
from benchmarks.simulate.world import at_path, normal
from carecloud_async import CareCloudError
from carecloud_async.bulk import RowResult

__all__ = ["QueueWriter"]

#: Outcomes after which the record has the values of its row.
_WRITTEN = ("created", "updated", "unchanged")


class QueueWriter(Actor):
    """Writes messages by e-mail; those of one key in their order.

    Attributes:
        messages: rows; several may have one key.
        width: how many are written at once.
    """

    messages: list[Row]
    width: int = 3

    async def live(self) -> None:
        """Write until the queue is empty."""
        self.queue = [*self.messages]
        self.done: dict[str, tuple[Row, str, float]] = {}
        #: By key, the messages of which it was told that their requests may act still.
        self.in_doubt: dict[str, list[Row]] = {}
        #: By key, what a message wrote last, if nothing goes wrong.
        self.written: dict[str, Row] | None = {} if self.internet.calm else None
        if self.written is not None:
            for one in self.internet.world.records["customers"].values():
                self.written[normal(at_path(one, "personal_information.email"))] = {}
        await self.until_done(self._write_all, what=f"a bulk writer, {len(self.messages)} messages")

    async def _write_all(self, process: Process) -> Any:
        busy: set[str] = set()
        async with (
            self.client(process) as client,
            client.customers.bulk_writer(
                match="email", defaults={"customer_source_id": SOURCE}, settle=self.settle
            ) as writer,
            anyio.create_task_group() as tasks,
        ):

            async def work() -> None:
                failures = 0
                while failures < 5:
                    row = next((one for one in self.queue if one["email"] not in busy), None)
                    if row is None:
                        return
                    busy.add(row["email"])
                    try:
                        result = await writer.write(row)
                    except CareCloudError:
                        failures += 1  # delivered again
                        await self.machine.sleep(self.dice.uniform(0, 5))
                    else:
                        self._acknowledge(row, result)
                    finally:
                        busy.discard(row["email"])

            for _ in range(self.width):
                tasks.start_soon(work)
        return None if self.queue else "all is written"

    def _acknowledge(self, row: Row, result: RowResult) -> None:
        outcome, record_id = str(result.outcome.value), result.record_id
        self.queue.remove(row)
        self.story.tell(self.name, f"hears that {row} is {outcome}", row["email"], record_id or "")
        self.internet.world.tell("; ".join(result.reasons), row["email"])
        if self.written is not None and outcome != (wanted := self._wanted(row, self.written)):
            self.violations.add(f"{self.name}: nothing goes wrong, and {row} is {outcome}, not {wanted}", row["email"])
        if outcome == "unknown" and not may_be_unknown("; ".join(result.reasons)):
            self.violations.add(f"{self.name}: {row} is unknown, and its key says what became of it", row["email"])
        if outcome in ("conflict", "unknown"):
            self.in_doubt.setdefault(row["email"], []).append(row)
            self.done.pop(row["email"], None)
        if outcome not in _WRITTEN or record_id is None:
            return
        self.done[row["email"]] = (row, record_id, self.machine.loop.now)
        versions = self.internet.world.history["customers"].get(record_id, [])
        if outcome == "created" and (not versions or versions[0].actor != self.name):
            self.violations.add(f"{self.name}: {row} is created, but it did not make {record_id}", row["email"])
        if not any(one.values is not None and _has(one.values, row) for one in versions):
            self.violations.add(f"{self.name}: {row} is {outcome}, but {record_id} never had it", row["email"])

    def _wanted(self, row: Row, written: dict[str, Row]) -> str:
        """Return the outcome of a message, where nothing goes wrong."""
        key = normal(row["email"])
        before = written.get(key)
        if "!" in row["last_name"]:
            return "refused"
        written[key] = row
        return "created" if before is None else "unchanged" if before == row else "updated"

    async def end_calmly(self) -> None:
        """Check that the last message of each key was not overwritten by an earlier one."""
        for row, record_id, since in self.done.values():
            known = [row, *self.in_doubt.get(row["email"], ())]
            for version in self.internet.world.history["customers"][record_id]:
                has_known = any(_has(version.values or {}, other) for other in known)
                if version.at > since and version.actor == self.name and not has_known:
                    self.violations.add(
                        f"{self.name}: {row} was overwritten at {version.at:.3f} by its request "
                        f"#{version.entry}, which is about an earlier row",
                        row["email"], record_id,
                    )  # fmt: skip


def _has(record: dict[str, Any], row: Row) -> bool:
    return all(normal(at_path(record, f"personal_information.{name}")) == normal(value) for name, value in row.items())
