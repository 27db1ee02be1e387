"""`outbox.problem` says why entries wait as soon as something fails."""

import httpx
import pytest
from memory_servers import client_of
from outbox_tools import put_bill

from carecloud_async import RetryPolicy

pytestmark = pytest.mark.anyio


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
