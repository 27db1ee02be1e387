"""ResponseCache under every order of reads, slow reads, writes and cancellations that Hypothesis comes up with."""

import functools

import anyio
import anyio.lowlevel
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import KnownUser, served
from thorough import examples

from carecloud_async import ResponseCache, RetryPolicy


async def settle():
    """Let every task go on until it waits for the test; a call takes fewer steps than this."""
    for _ in range(25):
        await anyio.lowlevel.checkpoint()


class Job:
    """A request at the server: it takes effect when it is let in, and is answered when it is let out."""

    def __init__(self):
        self.entered, self.left = anyio.Event(), anyio.Event()


class Register:
    """A server with one record, whose version each write raises."""

    def __init__(self):
        self.version = 0
        self.jobs = []

    async def __call__(self, request):
        job = Job()
        self.jobs.append(job)
        await job.entered.wait()
        if request.method != "GET":
            self.version += 1
        version = str(self.version)
        await job.left.wait()
        if request.method != "GET":
            return httpx.Response(204)
        record = {"customer_id": "1", "personal_information": {"first_name": version}}
        return httpx.Response(200, json={"data": record}, headers={"Cache-Control": "max-age=3600"})


class Play:
    """Carries out the steps of reads and writes in an order, and holds each read against the writes before it.

    Attributes:
        settled: the version that every read beginning now has to see: that of the last write that ended.
        broken: reads that saw an older one.
        seen: the versions that the reads saw.
    """

    def __init__(self, client, server, group):
        self.client, self.server, self.group = client, server, group
        self.settled, self.broken, self.seen = 0, [], []

    async def read(self, scope):
        with scope:
            due = self.settled
            customer = await self.client.customers.get("1")
            self.seen.append(int(customer.personal_information.first_name))
            if self.seen[-1] < due:
                self.broken.append((self.seen[-1], due))

    async def write(self, scope):
        with scope:
            await self.client.request("PUT", "customers/{customer_id}", path_params={"customer_id": "1"}, json={})
            # Every write that the server has carried out by now may have ended; at least this one has.
            self.settled = max(self.settled, self.server.version)

    async def begin(self, actor):
        """Begin a read or a write; return its scope and its request, if it is sent."""
        scope, before = anyio.CancelScope(), len(self.server.jobs)
        self.group.start_soon(self.read if actor == "read" else self.write, scope)
        await settle()
        return scope, self.server.jobs[before] if len(self.server.jobs) > before else None

    async def perform(self, actors, order, cancelled):
        """Carry out the steps; a read that is not sent, or later, has no request to let in or out."""
        begun, taken = {}, dict.fromkeys(range(len(actors)), 0)
        for number in order:
            taken[number] += 1
            if taken[number] == 1:
                begun[number] = await self.begin(actors[number])
                continue
            scope, job = begun[number]
            if taken[number] == 3 and number in cancelled:
                scope.cancel()
            elif job is not None:
                (job.entered if taken[number] == 2 else job.left).set()
            await settle()
        await self.finish()
        await self.begin("read")

    async def finish(self):
        """Let everything out."""
        while not all(job.left.is_set() for job in self.server.jobs):
            for job in self.server.jobs:
                job.entered.set()
                job.left.set()
            await settle()


async def play(actors, order, cancelled=()):
    server = Register()
    options = {"auth": KnownUser(), "retry": RetryPolicy(attempts=1), "rate_limit": None, "cache": ResponseCache()}
    async with served(server, **options) as client:
        await client.login()
        async with anyio.create_task_group() as group:
            it = Play(client, server, group)
            await it.perform(actors, order, cancelled)
            await it.finish()
    return it


@st.composite
def plays(draw):
    """Reads and writes of three steps each (begin; let in; let out, or cancelled), in any order of their steps."""
    actors = ["read", "write", "read", *draw(st.lists(st.sampled_from(["read", "write"]), max_size=2))]
    order = draw(st.permutations([number for number in range(len(actors)) for _ in range(3)]))
    cancelled = draw(st.sets(st.integers(0, len(actors) - 1), max_size=1))
    return actors, order, cancelled


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_read_sees_what_a_write_before_it_replaced(backend):
    """In any order of reads, slow reads, writes and cancellations a read sees each write that ended before it began."""

    @settings(max_examples=examples(200), deadline=None, derandomize=True, database=None)
    @given(plays())
    def check(drawn):
        it = anyio.run(functools.partial(play, *drawn), backend=backend)
        assert it.broken == []

    check()


@pytest.mark.parametrize(
    ("actors", "order", "cancelled", "requests", "seen"),
    [
        # The slow read is let in before the write and out after it: its answer is not kept.
        (["read", "write"], [0, 0, 1, 1, 1, 0], (), 3, [0, 1]),
        # A read that comes while the write is under way does not join the slow one, and is not kept either.
        (["read", "write", "read"], [0, 0, 1, 2, 1, 1, 0, 2, 2], (), 4, [0, 1, 1]),
        # Reads that began before the write share their request, and get its answer.
        (["read", "read", "read", "write"], [0, 1, 2, 3, 3, 3, 0, 0], (), 3, [1, 1, 1, 1]),
        # A write that is cancelled before its answer came may have happened.
        (["read", "write"], [0, 0, 0, 1, 1, 1], {1}, 3, [0, 1]),
    ],
)
def test_who_shares_and_keeps_an_answer(actors, order, cancelled, requests, seen):
    """Of reads around a write, those that began before it share; afterwards each asks again."""
    it = anyio.run(play, actors, order, cancelled)
    assert (len(it.server.jobs), it.seen, it.broken) == (requests, seen, [])
