"""The default transport on trio: httpx2's pool under a client of httpx."""

import random
import sys

import anyio
import httpx
import httpx2
import pytest

from carecloud_async import CareCloud, ConnectionFailedError, NotFoundError, RetryPolicy
from carecloud_async.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["trio"])]


async def test_cancelled_rounds_leave_all_connections_whole():
    """20 rounds of 40 calls on five connections, most of them cancelled: afterwards 40 of 40 succeed."""
    sandbox = Sandbox(50)
    chance = random.Random(1)
    async with (
        sandbox.serving() as url,
        CareCloud(url, auth=sandbox.credentials(), max_connections=5, rate_limit=None) as client,
    ):

        async def call(patience):
            with anyio.move_on_after(patience):
                await client.customers.list(count=1).page()

        for _ in range(20):
            async with anyio.create_task_group() as group:
                for number in range(40):
                    group.start_soon(call, chance.uniform(0, 0.02) if number % 5 else 30)
        totals = []

        async def ask():
            totals.append(await client.customers.list().total())

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(40):
                    group.start_soon(ask)
        assert totals == [50] * 40
        assert isinstance(client.http, httpx.AsyncClient)
        with anyio.fail_after(60):  # the server notices later that connections are closed
            while sandbox.connections.now > 5:  # noqa: ASYNC110  (another thread's count)
                await anyio.sleep(0.001)


async def test_httpx2_sends_where_it_is_installed(monkeypatch):
    """The pool is httpx2's, and httpx's where httpx2 is missing; calls and errors are the same on both."""
    sandbox, sent_by = Sandbox(3), []
    for family in (httpx2, httpx):

        async def noted(transport, request, send=family.AsyncHTTPTransport.handle_async_request, family=family):
            sent_by.append(family)
            return await send(transport, request)

        monkeypatch.setattr(family.AsyncHTTPTransport, "handle_async_request", noted)
    for family in (httpx2, httpx):
        if family is httpx:
            monkeypatch.setitem(sys.modules, "httpx2", None)
        async with sandbox.serving() as url, CareCloud(url, auth=sandbox.credentials()) as client:
            assert await client.customers.list().total() == 3
            with pytest.raises(NotFoundError):
                await client.customers.get("0123456789abcdef0123456789")
        assert set(sent_by) == {family}
        sent_by.clear()


async def test_failures_of_the_pool_below_are_ours():
    """A port that refuses is a ConnectionFailedError whose cause is an exception of httpx, the client's family."""
    async with CareCloud("http://127.0.0.1:1", auth=Sandbox(1).credentials(), retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(ConnectionFailedError):
            await client.login()
        with pytest.raises(httpx.ConnectError):
            await client.http.get("http://127.0.0.1:1/")
