"""A write happens once, or says that it may have."""

import socket
import struct

import anyio
import pytest
from anyio.abc import SocketAttribute
from call_doors import create
from child_processes import free_port
from clocks import ManualClock, passing_time
from kit import connect
from wire_server import serving

from carecloud_async import (
    OutcomeUnknownError,
    RetryPolicy,
    Timeout,
)

pytestmark = pytest.mark.anyio
QUICK = RetryPolicy(base=0.001)


async def test_a_post_on_a_kept_connection_that_is_reset_is_not_repeated(door):
    """The connection that served another call ends with a reset: the POST is sent once, and may have happened."""

    async def reset(stream, head):
        linger = struct.pack("ii", 1, 0)
        stream.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with serving(reset) as server, door(server.url, retry=QUICK) as client:
        await client.login()
        with pytest.raises(OutcomeUnknownError):
            await create(client)
        assert len(server.requests) == 1


@pytest.mark.parametrize("cut", ["before", "after", "half"])
async def test_a_post_whose_answer_is_lost_is_never_repeated(door, sandbox, cut):
    """The connection dies before or after the work: one request, and an error that says that it may have happened."""
    async with sandbox.serving() as url, door(url, retry=QUICK) as client:
        sandbox.faults.add("POST /customers", cut=cut)
        with pytest.raises(OutcomeUnknownError, match=r"POST /customers.*may have happened") as caught:
            await create(client)
        assert len(sandbox.customers) == await client.customers.list().total() == (200 if cut == "before" else 201)
        assert sandbox.count("POST /customers") == 1
        assert (caught.value.method, caught.value.path, caught.value.is_retryable) == ("POST", "/customers", False)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


async def test_a_post_waits_for_a_server_that_starts_later(door, sandbox):
    """A POST whose connection was refused was not sent, so it is repeated until the server is there: one row."""
    policy, port = RetryPolicy(base=0.05, attempts=100, max_wait=0.1), free_port()
    async with (
        door(f"http://127.0.0.1:{port}", retry=policy) as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(create, client)
        await anyio.sleep(0.1)
        async with sandbox.serving(port=port):
            while len(sandbox.customers) < 201:  # noqa: ASYNC110  (another thread's count)
                await anyio.sleep(0.01)
            await anyio.sleep(0.05)
    assert len(sandbox.customers) == 201


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_post_refused_with_429_is_repeated_after_the_time_the_server_names(door, sandbox):
    """429 did nothing: with `Retry-After: 1` there is one row, after a second."""
    clock = ManualClock()
    async with sandbox.serving() as url, door(url, clock=clock) as client, passing_time(clock):
        await client.ping()
        sandbox.faults.add("POST /customers", status=429, retry_after=1)
        before = clock.now
        await create(client)
        assert clock.now - before >= 1.0
        assert len(sandbox.customers) == 201
        assert sandbox.count("POST /customers") == 2


async def test_a_post_whose_time_runs_out_may_have_happened(door):
    """The total time ends while the server works: the outcome is unknown."""
    async with serving(30.0) as server, door(server.url, retry=QUICK) as client:
        await client.login()
        with pytest.raises(OutcomeUnknownError):
            await create(client.with_options(timeout=Timeout(total=1)))
        with pytest.raises(OutcomeUnknownError):
            await create(client.with_options(timeout=Timeout(read=0.2)))
        assert sum(b"POST" in head and b"/customers " in head for head in server.requests) == 2


async def test_search_like_posts_may_be_marked_as_safe(sandbox):
    """`safe_to_repeat=True` lets an ad-hoc POST through a 503; without it the 503 is final."""
    async with connect(sandbox, retry=QUICK) as client:
        fault = sandbox.faults.add("*", status=503, times=2, after=1)
        with pytest.raises(OutcomeUnknownError):
            await client.request("POST", "customers/actions/search", json={})
        with pytest.raises(Exception, match="404"):
            await client.request("POST", "customers/actions/search", json={}, safe_to_repeat=True)
        assert fault.hits == 2
