"""ResponseCache and identities: an answer reaches those who asked for it, with the token that it was got with."""

from contextlib import asynccontextmanager, nullcontext

import anyio
import httpx
import kit
import pytest
from cache_server import Server, connect

from carecloud_async import (
    AuthenticationError,
    ClientClosedError,
    CustomerSession,
    EnterpriseCredentials,
    NotFoundError,
    RequestTimeoutError,
)

pytestmark = pytest.mark.anyio


async def test_a_resumed_session_of_another_customer_gets_nothing_of_the_first():
    """Two resumed sessions of one device token and different customers share no answer."""
    server = Server()
    async with connect(server) as client:
        names = []
        for customer in ("A", "B", "A"):
            view = client.acting_as(CustomerSession.resume(token_id="token", customer_id=customer))
            names.append((await view.customers.list().page()).items[0].personal_information.first_name)
    assert names == ["answer 1", "answer 2", "answer 1"]


async def test_answers_end_with_the_device_token_they_were_got_with():
    """After a device token was replaced, what was read with the old one is asked for again."""
    server = Server()
    made = iter(range(1, 9))
    dead = set()

    async def answer(request):
        if request.url.path.endswith("/tokens"):
            return httpx.Response(200, json={"data": {"token_id": f"token-{next(made)}"}})
        token = request.headers["authorization"].removeprefix("Bearer ")
        return httpx.Response(401, json={"error": {}}) if token in dead else await server(request)

    async with connect(answer, auth=kit.DEVICE) as client:
        first = await client.customers.list().page()
        assert (await client.customers.list().page()).items == first.items
        dead.add("token-1")
        await client.stores.list().page()  # refused, and sent again with a new token
        again = await client.customers.list().page()
    assert [page.items[0].customer_id for page in (first, again)] == ["token-1", "token-2"]


async def test_reference_data_does_not_reach_an_identity_without_a_token():
    """Under way or kept: an identity with a wrong password is refused, and one with the right one gets the answer."""
    server = Server()

    async def answer(request):
        wrong = b'"wrong"' in request.content
        return httpx.Response(401, json={"error": {}}) if wrong else await server(request)

    refused = []

    async def read(auth):
        try:
            await client.acting_as(auth).currencies.list().page()
        except AuthenticationError:
            refused.append(auth)

    right, wrong = (
        EnterpriseCredentials(external_application_id="a" * 24, login="u", password=word) for word in ("p", "wrong")
    )
    async with connect(answer, auth=right) as client:
        await client.login()
        server.hold = anyio.Event()
        async with anyio.create_task_group() as group:
            for auth in (right, wrong):
                group.start_soon(read, auth)
                await anyio.wait_all_tasks_blocked()
            server.hold.set()
        assert refused == [wrong]
        for auth in (wrong, right):
            await read(auth)
    assert (refused, len(server.sent)) == ([wrong, wrong], 1)


async def test_an_answer_that_was_asked_for_earlier_replaces_no_later_one():
    """A slow read that ends after a fresh one does not bring the older answer back."""
    server = Server()
    async with connect(server) as client, anyio.create_task_group() as group:
        await client.login()
        listing = client.customers.list()
        slow = server.hold = anyio.Event()
        group.start_soon(listing.page)
        await anyio.wait_all_tasks_blocked()
        server.hold = None
        await listing.fresh().page()
        slow.set()
        await anyio.wait_all_tasks_blocked()
        name = (await listing.page()).items[0].personal_information.first_name
    assert name == "answer 2"


async def test_a_fresh_view_asks_the_server():
    """Each read of `client.fresh()` is sent, also under other options; the client keeps what was read last."""
    server = Server()
    async with connect(server) as client:
        views = [client, client, client.fresh(), client.fresh().with_options(timeout=5), client]
        pages = [await view.customers.list().page() for view in views]
    assert [page.items[0].personal_information.first_name for page in pages] == [
        f"answer {number}" for number in (1, 1, 2, 3, 3)
    ]


async def test_a_fresh_view_asks_caches_in_front_of_the_api():
    """A read of `client.fresh()` or `listing.fresh()` carries `Cache-Control: no-cache`."""
    seen = []

    class Watching(Server):
        async def __call__(self, request):
            seen.append(request.headers.get("Cache-Control"))
            return await super().__call__(request)

    async with connect(Watching()) as client:
        await client.login()
        seen.clear()
        listing = client.customers.list()
        for reader in (listing, listing.fresh(), client.fresh().customers.list()):
            await reader.page()
    assert seen == [None, "no-cache", "no-cache"]


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
