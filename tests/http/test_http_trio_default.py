"""The default transport on trio: httpx2's pool under a client of httpx."""

import sys

import httpx
import httpx2
import pytest

from carecloud_async import CareCloud, ConnectionFailedError, NotFoundError, RetryPolicy
from carecloud_async.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["trio"])]


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
