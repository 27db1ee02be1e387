"""What an outbox keeps of entries that are not in its queue any more: keys of a day, and answers that were lost."""

from contextlib import closing

import pytest
from kit import RefusedError, listed
from memory_servers import LoyaltyServer, client_of
from outbox_tools import put_bill, put_points

from carecloud_async.outbox import KeyInUseError
from carecloud_async.outbox.queue import OutboxQueue

pytestmark = pytest.mark.anyio

_DAY = 24 * 3600.0


class LateTill(LoyaltyServer):
    """A server whose lists are hours late.

    Attributes:
        limit: how many operations on points it accepts; it refuses the next ones.
    """

    limit = None

    def on_read(self, path, query):
        return listed(path.strip("/").replace("-", "_"))

    def on_write(self, method, path, body):
        if self.limit is not None and len(self.done) >= self.limit:
            raise RefusedError(400, ("amount", "limit_exceeded"))
        return super().on_write(method, path, body)


@pytest.fixture
def server(clock):
    return LateTill(clock)


async def test_what_was_sent_is_put_again_within_a_day(client, server, clock, path):
    """The same call after it was sent is the same entry for a day, in the next process too: nothing is looked up."""
    async with client.outbox(path) as outbox:
        first = await put_bill(client, outbox)
        assert await outbox.flush()
    requests = len(server.requests)
    async with client_of(server, clock) as other, other.outbox(path) as outbox:
        clock.advance(_DAY - 60)
        assert await put_bill(other, outbox) == first
        assert outbox.waiting == 0
        assert await put_bill(other, outbox, 2) > first
        assert await outbox.flush()
    assert server.bill_ids() == ["1", "2"]
    assert [request for request in server.requests[requests:] if "purchase" in request].count("GET /purchases") == 1


async def test_another_call_with_a_key_that_was_sent(client, server, outbox):
    """For a day, a bill with the id of one that was sent, and with another content, is the caller's error."""
    first = await put_bill(client, outbox)
    assert await outbox.flush()
    with pytest.raises(KeyInUseError, match=f"with this key was sent within the last day, as entry {first}: give"):
        await put_bill(client, outbox, total=20.0)
    assert server.bill_ids() == ["1"]


async def test_keys_of_what_was_sent_are_forgotten_after_a_day(client, server, clock, outbox):
    """A day later the same call is a new entry, which the server is asked about, and the file does not grow."""
    first = await put_bill(client, outbox)
    assert await outbox.flush()
    clock.advance(_DAY + 60)
    assert await put_bill(client, outbox) > first
    assert await outbox.flush()
    assert await put_bill(client, outbox) > first
    assert server.bill_ids() == ["1", "1"]  # its lists are later than a day


@pytest.mark.parametrize("is_dropped", [False, True])
async def test_a_loss_outlasts_a_retry(client, server, outbox, is_dropped):
    """Points that may have been booked stay `unknown` when they are retried, or dropped and put again, and refused."""
    server.faults, server.limit = ["cut"], 1
    await put_points(client, outbox)
    await outbox.flush()
    for _ in range(2):
        (failed,) = await outbox.failures()
        assert failed.outcome == "unknown"
        assert "amount: limit_exceeded" in failed.reasons
        if is_dropped:
            assert await outbox.drop() == 1
            await put_points(client, outbox)
        else:
            assert await outbox.retry() == 1
        assert outbox.waiting == 1
        await outbox.flush()
    (failed,) = await outbox.failures()
    assert failed.outcome == "unknown"
    assert server.notes() == ["[ref: B1]"]


async def test_a_refusal_is_forgotten_by_a_retry(client, server, outbox):
    """What was refused, and whose answers all came, is refused again."""
    server.limit = 0
    await put_points(client, outbox)
    for _ in range(2):
        await outbox.flush()
        (failed,) = await outbox.failures()
        assert failed.outcome == "refused"
        assert await outbox.retry() == 1


async def test_a_file_names_no_more_programs_than_the_last_one(client, path):
    """The file of an outbox that is opened each day for years does not grow with it."""
    for _ in range(4):
        async with client.outbox(path):
            pass
    with closing(OutboxQueue.open(path, binding=None)) as queue:
        assert len(queue.begin(owner=1, settle_seconds=60.0)) == 1
