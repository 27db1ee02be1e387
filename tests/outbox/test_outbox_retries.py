"""Entries that failed and are retried, while the group in which they failed still waits for others."""

from contextlib import closing

import anyio
import pytest
from kit import RefusedError
from memory_servers import LoyaltyServer, client_of
from outbox_tools import put_bill

from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.outbox.queue import NewEntry, OutboxQueue

pytestmark = pytest.mark.anyio


class SlowTill(LoyaltyServer):
    """A server that refuses bill 1, loses the first answer to bill 2, and works on a retried bill 1 for long.

    Attributes:
        retried: whether bill 1 is accepted, as soon as `may_go` is set.
        posts: how often bill 1 was sent since then.
    """

    def __init__(self, clock):
        super().__init__(clock)
        self.away, self.retried, self.posts, self._lost = True, False, 0, False
        self.refused.add("1")
        self.may_go = anyio.Event()
        self.arrived = self._hold

    async def _hold(self, request):
        if self.retried and b'"bill_id":"1"' in request.content.replace(b" ", b""):
            self.posts += 1
            if self.posts == 1:
                await self.may_go.wait()

    def on_write(self, method, path, body):
        if body["bill"]["bill_id"] == "2" and not self._lost:
            self._lost = True
            raise RefusedError(504)
        return super().on_write(method, path, body)


@pytest.mark.usefixtures("threads_at_once")
async def test_a_retried_entry_outlasts_the_group_in_which_it_failed(clock, path):
    """While a retried bill is being sent, the end of the group in which it failed does not send it once more."""
    server = SlowTill(clock)
    async with client_of(server, clock) as client:
        async with client.outbox(path) as outbox:
            for number in (1, 2):
                await put_bill(client, outbox, number, customer_id=f"c{number}")
        server.away = False
        async with client.outbox(path) as outbox:
            while not outbox.failed:
                await outbox.flush(timeout=0.01)
            await put_bill(client, outbox, 3, customer_id="c3")
            while server.bill_ids() != ["3"]:  # an answer: writes are not only lost any more
                await outbox.flush(timeout=0.01)
            server.refused.clear()
            server.retried = True
            await outbox.retry()
            while server.bill_ids() != ["3", "2"]:
                await outbox.flush(timeout=1)
            for _ in range(100):  # the group of bill 2 ends
                await outbox.flush(timeout=1)
            server.may_go.set()
            assert await outbox.flush()
            assert outbox.problem is None
    assert server.bill_ids() == ["3", "2", "1"]
    assert server.posts == 1


def test_the_outcome_of_an_entry_counts_once(path):
    """An outcome of an entry that has ended, or is not in the file any more, changes nothing."""
    written, refused = RowResult(outcome=Outcome.CREATED), RowResult(outcome=Outcome.REFUSED, reasons=("no",))
    with closing(OutboxQueue.open(path, binding={})) as queue:
        for key in "12":
            queue.put(NewEntry(kind="bill", key=key, once=key, lane="c", label=key, body=b"{}"))
        queue.end([(1, written), (2, refused)])
        queue.end([(1, written), (2, written)])
        assert (queue.waiting, queue.failed) == (0, 1)
        assert [entry.id for entry in queue.failures()] == [2]
