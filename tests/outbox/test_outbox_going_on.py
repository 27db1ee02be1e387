"""Outboxes that go on elsewhere: with another timeout, or after a stop at any step."""

import anyio
import httpx
import pytest
from memory_servers import client_of
from outbox_tools import put_bill

from carecloud_async import Timeout
from carecloud_async.outbox import sending

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
