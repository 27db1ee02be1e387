"""Outboxes that go on elsewhere: with another timeout, or after a stop at any step."""

from contextlib import closing

import anyio
import httpx
import pytest
from kit import RefusedError
from memory_servers import LoyaltyServer, client_of
from outbox_tools import put_bill

from carecloud_async import RetryPolicy, Timeout
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.outbox import sending
from carecloud_async.outbox.queue import NewEntry, OutboxQueue

pytestmark = pytest.mark.anyio


async def send_bill_late(server, clock, path, *, seconds, **settings):
    """Put a bill whose answer is lost, and which the server makes some seconds later; the outbox is closed at once."""
    server.faults = [seconds]
    async with client_of(server, clock, **settings) as client, client.outbox(path) as outbox:
        await put_bill(client, outbox, 1)
        while server.faults:
            await outbox.flush(timeout=0.01)


async def test_an_outbox_goes_on_with_a_shorter_timeout(server, clock, path):
    """What was lost with a timeout of 300 s is left alone for that long also by programs that wait 5 s for answers."""
    await send_bill_late(server, clock, path, seconds=200.0, timeout=Timeout(read=300.0))
    for _ in range(2):
        async with client_of(server, clock, timeout=Timeout(read=5.0)) as client, client.outbox(path) as outbox:
            await outbox.flush(timeout=1.0)
    async with client_of(server, clock, timeout=Timeout(read=5.0)) as client, client.outbox(path) as outbox:
        assert await outbox.flush()
    clock.advance(300)
    server.work_late()
    assert server.bill_ids() == ["1"]


async def test_what_an_earlier_program_has_lost_keeps_nothing_waiting(server, clock, path, monkeypatch):
    """As many answers as an outbox works on at once were lost: the next program sends what is put meanwhile."""
    monkeypatch.setattr(sending, "_MAX_ENTRIES", 2)
    both, arrived = anyio.Event(), []

    async def lose(request):
        if request.url.path.endswith("/send-purchase") and len(arrived) < 2:
            arrived.append(request)
            if len(arrived) == 2:
                both.set()
            await both.wait()
            raise httpx.ReadError("cut", request=request)

    server.arrived = lose
    async with client_of(server, clock) as client, client.outbox(path) as outbox:
        for number in (1, 2):
            await put_bill(client, outbox, number, customer_id=f"c{number}")
        await both.wait()
    began = clock.monotonic()
    async with client_of(server, clock) as client, client.outbox(path) as outbox:
        await put_bill(client, outbox, 3, customer_id="c3")
        while server.bill_ids() != ["3"]:
            await outbox.flush(timeout=1)
        assert clock.monotonic() - began < 30


@pytest.mark.parametrize("is_read", [True, False])
async def test_the_problem_is_known_when_the_network_dies(server, clock, path, is_read):
    """Seconds after the network died, before a look-up or a write, `problem` says so; when it is back, it is `None`."""
    dies = True

    async def die(request):
        if dies and "purchase" in request.url.path and (request.method == "GET") == is_read:
            raise httpx.ConnectError("no network", request=request)

    server.arrived = die
    async with client_of(server, clock, retry=RetryPolicy()) as client, client.outbox(path) as outbox:
        for number in range(3):
            await put_bill(client, outbox, number, customer_id=f"c{number}")
        assert not await outbox.flush(timeout=4)
        assert "the server was not reached" in str(outbox.problem)
        dies = False
        assert await outbox.flush(timeout=60)
        assert outbox.problem is None
    assert sorted(server.bill_ids()) == ["0", "1", "2"]


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
