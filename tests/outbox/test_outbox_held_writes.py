"""Outboxes and servers that hold writes while they answer reads."""

import pytest
from outbox_server import PLACE, bill

pytestmark = pytest.mark.anyio


async def test_look_ups_pass_by_caches_in_front_of_the_api(client, server, path):
    """The look-ups of an entry, before it is sent and after a lost answer, tell caches to ask the server."""
    headers = []
    server.faults = ["after"]

    async def note(request):
        if request.method == "GET":
            headers.append(request.headers.get("Cache-Control"))

    server.arrived = note
    async with client.outbox(path) as outbox:
        await outbox.put(client.purchases.send_purchase, bill(1), customer_id="c", **PLACE)
        assert await outbox.flush()
    assert headers == ["no-cache", "no-cache"]
