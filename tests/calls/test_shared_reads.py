"""Identical reads under way become one: who waits, who takes over, and whose errors are whose."""

import warnings

import anyio
import pytest
from cache_server import Server, connect

from carecloud_async import ClientClosedError, NotFoundError, RequestTimeoutError

pytestmark = pytest.mark.anyio


async def test_fifty_identical_reads_at_once_are_one_request():
    """All of them wait for the first one's answer, also where nothing may be kept."""
    server = Server(Date="now")
    server.hold = anyio.Event()
    async with connect(server) as client:
        await client.login()
        pages = []

        async def read():
            pages.append(await client.customers.list().page())

        with client.record_calls() as calls:
            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(read)
                await anyio.wait_all_tasks_blocked()
                server.hold.set()
        await client.customers.list().page()
    assert (len(pages), len(server.sent)) == (50, 2)
    assert sorted(call.cached for call in calls) == [False] + [True] * 49
    assert {(call.status, call.attempts) for call in calls if call.cached} == {(200, 0)}


async def test_the_leader_of_shared_reads_may_be_cancelled():
    """One of those who wait takes over: all others get an answer, with one request more."""
    server = Server()
    server.hold = anyio.Event()
    pages = []
    async with connect(server) as client:
        await client.login()

        async def read(scope):
            with scope:
                pages.append(await client.customers.list().page())

        async with anyio.create_task_group() as group:
            leader = anyio.CancelScope()
            group.start_soon(read, leader)
            await anyio.wait_all_tasks_blocked()
            for _ in range(10):
                group.start_soon(read, anyio.CancelScope())
            await anyio.wait_all_tasks_blocked()
            leader.cancel()
            await anyio.wait_all_tasks_blocked()
            server.hold.set()
    assert (len(pages), len(server.sent)) == (10, 2)


async def test_a_waiter_may_be_cancelled_alone():
    """Cancelling one who waits ends neither the read nor the others."""
    server = Server()
    server.hold = anyio.Event()
    pages = []
    async with connect(server) as client:
        await client.login()

        async def read(scope):
            with scope:
                pages.append(await client.customers.list().page())

        scopes = [anyio.CancelScope() for _ in range(3)]
        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(read, scope)
                await anyio.wait_all_tasks_blocked()
            scopes[1].cancel()
            await anyio.wait_all_tasks_blocked()
            server.hold.set()
    assert (len(pages), len(server.sent)) == (2, 1)


async def test_those_who_share_a_read_share_its_404():
    """Each waiting call gets an error of its own without another request; an error is not kept."""
    server = Server()
    server.status, server.hold = 404, anyio.Event()
    errors = []
    async with connect(server) as client:
        await client.login()

        async def read():
            with pytest.raises(NotFoundError) as caught:
                await client.customers.get("one")
            errors.append(caught.value)

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            server.hold.set()
        assert len(server.sent) == 1
        await read()
    assert len(server.sent) == 2
    assert len({id(error) for error in errors}) == 6
    assert len({error.correlation_id for error in errors}) == 6


async def test_a_leader_in_a_hurry_costs_the_others_nothing():
    """If the call that reads for others times out, those with more time left make the read themselves."""
    server = Server()
    server.hold = anyio.Event()
    pages = []
    async with connect(server) as client:
        await client.login()

        async def read(view, wanted):
            with wanted:
                pages.append(await view.customers.list().page())

        async with anyio.create_task_group() as group:
            group.start_soon(read, client.with_options(timeout=0.05), pytest.raises(RequestTimeoutError))
            await anyio.wait_all_tasks_blocked()
            group.start_soon(read, client, warnings.catch_warnings())
            await anyio.sleep(0.1)
            server.hold.set()
    assert (len(pages), len(server.sent)) == (1, 2)


async def test_a_waiter_waits_no_longer_than_its_own_time():
    """A read under way that takes long ends the waiter's call with a timeout, not the read."""
    server = Server()
    server.hold = anyio.Event()
    async with connect(server) as client:
        await client.login()
        async with anyio.create_task_group() as group:
            group.start_soon(client.customers.list().page)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RequestTimeoutError, match="identical read was under way"):
                await client.with_options(timeout=0.02).customers.list().page()
            server.hold.set()
    assert len(server.sent) == 1


async def test_closing_ends_waiting_calls():
    """Leader and waiters get `ClientClosedError`."""
    server = Server()
    server.hold = anyio.Event()
    client = connect(server)
    await client.login()
    ended = []

    async def read():
        with pytest.raises(ClientClosedError):
            await client.customers.list().page()
        ended.append(True)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await client.aclose()
    assert len(ended) == 3
