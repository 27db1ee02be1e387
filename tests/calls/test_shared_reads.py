"""Identical reads under way become one: who waits, who takes over, and whose errors are whose."""

from contextlib import asynccontextmanager, nullcontext

import anyio
import pytest
from cache_server import Server, connect

from carecloud_async import ClientClosedError, NotFoundError, RequestTimeoutError

pytestmark = pytest.mark.anyio


class Reads:
    """Reads of one list under way, on a server that holds its answers.

    Attributes:
        server, client: the server and its client, which has logged in.
        pages: what came.
    """

    def __init__(self, server, client, group):
        self.server, self.client, self.group, self.pages = server, client, group, []

    async def read(self, view, scope):
        with scope:
            self.pages.append(await view.customers.list().page())

    async def start(self, number=1, *, view=None, scope=None):
        """Let reads begin, in a scope of their own or in one that expects an error."""
        for _ in range(number):
            self.group.start_soon(self.read, view or self.client, scope or nullcontext())
        await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def held_reads(**headers):
    """Make reads that the server holds until the block ends."""
    server = Server(**headers)
    async with connect(server) as client:
        await client.login()
        server.hold = anyio.Event()
        with client.record_calls() as calls:
            async with anyio.create_task_group() as group:
                yield (reads := Reads(server, client, group))
                await anyio.wait_all_tasks_blocked()
                server.hold.set()
        reads.calls, reads.answered = calls, (len(reads.pages), len(server.sent))


async def test_fifty_identical_reads_at_once_are_one_request():
    """All of them wait for the first one's answer, also where nothing may be kept."""
    async with held_reads(Date="now") as reads:
        await reads.start(50)
    assert reads.answered == (50, 1)
    assert sorted(call.cached for call in reads.calls) == [False] + [True] * 49
    assert {(call.status, call.attempts) for call in reads.calls if call.cached} == {(200, 0)}


async def test_the_leader_of_shared_reads_may_be_cancelled():
    """One of those who wait takes over: all others get an answer, with one request more."""
    async with held_reads() as reads:
        leader = anyio.CancelScope()
        await reads.start(scope=leader)
        await reads.start(10)
        leader.cancel()
    assert reads.answered == (10, 2)


async def test_a_waiter_may_be_cancelled_alone():
    """Cancelling one who waits ends neither the read nor the others."""
    async with held_reads() as reads:
        waiter = anyio.CancelScope()
        for scope in (None, waiter, None):
            await reads.start(scope=scope)
        waiter.cancel()
    assert reads.answered == (2, 1)


async def test_those_who_share_a_read_share_its_404():
    """Each waiting call gets an error of its own without another request; an error is not kept."""
    async with held_reads() as reads:
        reads.server.status, caught = 404, [pytest.raises(NotFoundError) for _ in range(5)]
        for expected in caught:
            await reads.start(scope=expected)
    errors = [expected.excinfo.value for expected in caught]
    assert reads.answered == (0, 1)
    assert len({id(error) for error in errors}) == len({error.correlation_id for error in errors}) == 5


async def test_a_leader_in_a_hurry_costs_the_others_nothing():
    """If the call that reads for others times out, those with more time left make the read themselves."""
    async with held_reads() as reads:
        await reads.start(view=reads.client.with_options(timeout=0.05), scope=pytest.raises(RequestTimeoutError))
        await reads.start()
        await anyio.sleep(0.1)
    assert reads.answered == (1, 2)


async def test_a_waiter_waits_no_longer_than_its_own_time():
    """A read under way that takes long ends the waiter's call with a timeout, not the read."""
    async with held_reads() as reads:
        await reads.start()
        with pytest.raises(RequestTimeoutError, match="identical read was under way"):
            await reads.client.with_options(timeout=0.02).customers.list().page()
    assert reads.answered == (1, 1)


async def test_closing_ends_waiting_calls():
    """Leader and waiters get `ClientClosedError`."""
    async with held_reads() as reads:
        for _ in range(3):
            await reads.start(scope=pytest.raises(ClientClosedError))
        await reads.client.aclose()
    assert reads.pages == []
