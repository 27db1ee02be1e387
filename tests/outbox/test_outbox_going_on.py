"""Outboxes that go on elsewhere: with another timeout, or after a stop at any step."""

import pytest
from memory_servers import client_of
from outbox_tools import put_bill

from carecloud_async import Timeout

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
