"""Writes that ended before their connection was there have not happened."""

import asyncio

import anyio
import pytest
from kit import KnownUser
from wire_server import BODY, answer, serving

from carecloud_async import CareCloud, RateLimit, RequestTimeoutError, Timeout
from carecloud_async._base.codec.answers import data
from carecloud_async._calls.call.operation import CallRequest, Operation

pytestmark = pytest.mark.anyio

CREATE = Operation(operation_id="x", method="POST", path="/customers", call="customers.create")


@pytest.fixture
def anyio_backend():
    """The pool of trio's transport does not tell whether a request has its connection."""
    return "asyncio"


def one_connection(server, **options):
    return CareCloud(server.url, auth=KnownUser(), max_connections=1, **options)


@pytest.mark.parametrize("rate_limit", [RateLimit.adaptive(), None], ids=["adaptive", "none"])
async def test_a_write_that_got_no_connection_was_not_sent(rate_limit):
    """A write that waits for the only connection until its time is over is a timeout, and not an unknown outcome."""
    async with (
        serving(60.0) as server,
        one_connection(server, rate_limit=rate_limit) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.ping)
        await server.asked.wait()
        with pytest.raises(RequestTimeoutError, match="no connection in time") as caught:
            await client.with_options(timeout=Timeout(total=0.2)).request("POST", "/customers", json={"a": 1})
        tasks.cancel_scope.cancel()
    assert not caught.value.may_have_happened
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", ["in use", "slow look-up"])
async def test_a_write_whose_connection_came_too_late_was_not_sent(way, monkeypatch):
    """A write that is too old when its connection is free, or open, is a timeout, and leaves no request."""
    loop = asyncio.get_running_loop()
    look_up = loop.getaddrinfo

    async def slow(*args, **options):
        await asyncio.sleep(0.3)
        return await look_up(*args, **options)

    async with (
        serving(0.5, answer(BODY)) as server,
        one_connection(server) as client,
        anyio.create_task_group() as tasks,
    ):
        if way == "in use":
            tasks.start_soon(client.ping)
            await server.asked.wait()
        else:
            monkeypatch.setattr(loop, "getaddrinfo", slow)
        request = CallRequest(CREATE, decode=data, json={"a": 1}, within=0.1)
        with pytest.raises(RequestTimeoutError, match="not sent: its connection or its token came too late") as caught:
            await client._caller.call(request)
    assert not caught.value.may_have_happened
    assert not any(request.startswith(b"POST") for request in server.requests)
