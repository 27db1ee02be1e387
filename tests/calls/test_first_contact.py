"""How long a call takes to fail where CareCloud may never have been: at a wrong address, or before it has answered."""

import socket

import httpx
import pytest
from kit import InTurn, KnownUser
from verdict_families import connect
from write_calls import HTML

from carecloud_async import (
    CareCloud,
    CareCloudError,
    ConnectionFailedError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
)
from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio

CUSTOMER = httpx.Response(200, content=b'{"data": {"customer_id": "x"}}')


async def seconds_to_fail(client, clock, error):
    """Return how long a call waits until it raises the error."""
    began = clock.monotonic()
    with pytest.raises(CareCloudError) as caught:
        await client.customers.get("x")
    assert type(caught.value) is error
    return clock.monotonic() - began


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ConnectError("refused"), ConnectionFailedError),
        (httpx.Response(404, content=HTML), ResponseError),
        (httpx.Response(409, content=HTML), ResponseError),
    ],
)
async def test_a_wrong_address_shows_after_three_seconds(failure, error):
    """Until CareCloud has answered, each call is repeated for three seconds; afterwards as often as the policy says."""
    clock, server = FakeClock(), InTurn(failure)
    async with connect(server, clock=clock) as client:
        for _ in range(3):
            server.requests.clear()
            assert await seconds_to_fail(client, clock, error) == pytest.approx(3)
            assert 3 <= len(server.requests) <= 8
        server.answers = [CUSTOMER]
        await client.customers.get("x")
        server.answers = [failure]
        server.requests.clear()
        await seconds_to_fail(client, clock, error)
    assert len(server.requests) == 8


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.Response(502, content=HTML), ServerError),
        (httpx.ConnectTimeout("no connection in time"), RequestTimeoutError),
        (httpx.ReadError("reset"), ConnectionFailedError),
    ],
)
async def test_a_server_that_is_only_away_is_asked_as_often_as_the_policy_says(failure, error):
    """At the first call too, a gateway's 502, a slow connection and one that breaks are repeated as the policy says."""
    clock, server = FakeClock(), InTurn(failure)
    async with connect(server, clock=clock) as client:
        await seconds_to_fail(client, clock, error)
    assert len(server.requests) == 8


async def test_an_answer_to_any_view_or_login_counts(sandbox):
    """A login that CareCloud answered shows that the address is right, for all views of the client."""
    clock, transport = FakeClock(), sandbox.transport()
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=transport, clock=clock) as client:
        await client.login()
        sandbox.faults.add("GET *", status=404, html=True, times=8)
        with pytest.raises(ResponseError), client.record_calls() as records:
            await client.with_options(language="en").customers.get("x")
    assert records[-1].attempts == 8


async def test_a_closed_port_ends_a_call_in_three_seconds():
    """On a real socket, a refused connection ends the first call of a client, and names the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    clock = FakeClock()
    async with CareCloud(f"http://127.0.0.1:{port}", auth=KnownUser(), clock=clock, allow_http=True) as client:
        began = clock.monotonic()
        with pytest.raises(ConnectionFailedError, match="the server was not reached") as caught:
            await client.customers.get("x")
    assert caught.value.fix.settings == ("project_url",)
    assert clock.monotonic() - began == pytest.approx(3)
