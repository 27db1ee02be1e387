"""ResponseCache under every order of reads, slow reads, writes and cancellations that Hypothesis comes up with."""

import functools

import anyio
import anyio.lowlevel
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import login_answer
from thorough import examples

from carecloud_async import CareCloud, EnterpriseCredentials, ResponseCache, RetryPolicy


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
        if request.url.path.endswith("/login"):
            return login_answer()
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
    """Carries out one order of events and holds each read against the writes that had ended before it began.

    Attributes:
        settled: the version that every read beginning now has to see: that of the last write that ended.
        broken: reads that saw an older one.
    """

    def __init__(self, client, server, group):
        self.client, self.server, self.group = client, server, group
        self.scopes = []
        self.settled = 0
        self.broken = []
        self.reads = 0
        self.last = None

    async def read(self, scope):
        with scope:
            due = self.settled
            customer = await self.client.customers.get("1")
            self.reads += 1
            seen = int(customer.personal_information.first_name)
            self.last = seen
            if seen < due:
                self.broken.append((seen, due))

    async def write(self, scope):
        with scope:
            await self.client.request("PUT", "customers/{customer_id}", path_params={"customer_id": "1"}, json={})
            # Every write that the server has carried out by now may have ended; at least this one has.
            self.settled = max(self.settled, self.server.version)

    async def act(self, action, number):
        if action in {"read", "write"}:
            scope = anyio.CancelScope()
            self.scopes.append(scope)
            self.group.start_soon(self.read if action == "read" else self.write, scope)
        elif action == "cancel" and self.scopes:
            self.scopes[number % len(self.scopes)].cancel()
        elif action in {"enter", "leave", "serve"}:
            self.let(action, number)
        await settle()

    def let(self, action, number):
        """Let one of the waiting requests in, out, or both."""
        waiting = [job for job in self.server.jobs if not job.left.is_set()]
        if action == "enter":
            waiting = [job for job in waiting if not job.entered.is_set()]
        if action == "leave":
            waiting = [job for job in waiting if job.entered.is_set()]
        if waiting:
            job = waiting[number % len(waiting)]
            if action != "leave":
                job.entered.set()
            if action != "enter":
                job.left.set()

    async def finish(self):
        """Let everything out, then read once more."""
        while not all(job.left.is_set() for job in self.server.jobs):
            for job in self.server.jobs:
                job.entered.set()
                job.left.set()
            await settle()


async def play(actions, order=None, cancelled=()):
    server = Register()
    auth = EnterpriseCredentials(external_application_id="a" * 24, login="u", password="p")
    options = {"retry": RetryPolicy(attempts=1), "rate_limit": None, "cache": ResponseCache()}
    async with CareCloud("x.example.com", auth=auth, transport=httpx.MockTransport(server), **options) as client:
        await client.login()
        async with anyio.create_task_group() as group:
            it = Play(client, server, group)
            if order is not None:
                await perform(it, actions, order, cancelled)
            else:
                for action, number in actions:
                    await it.act(action, number)
            await it.finish()
    return it, server


@st.composite
def plays(draw):
    """Reads and writes of three steps each (begin; let in; let out, or cancelled), in any order of their steps."""
    actors = ["read", "write", "read", *draw(st.lists(st.sampled_from(["read", "write"]), max_size=2))]
    order = draw(st.permutations([number for number in range(len(actors)) for _ in range(3)]))
    cancelled = draw(st.sets(st.integers(0, len(actors) - 1), max_size=1))
    return actors, order, cancelled


async def perform(it, actors, order, cancelled):
    """Carry the steps out; a read that is not sent, or later, has no request to let in or out."""
    jobs, scopes, taken = {}, {}, dict.fromkeys(range(len(actors)), 0)
    for number in order:
        taken[number] += 1
        job = jobs.get(number)
        if taken[number] == 1:
            before = len(it.server.jobs)
            await it.act(actors[number], 0)
            scopes[number] = it.scopes[-1]
            jobs[number] = it.server.jobs[before] if len(it.server.jobs) > before else None
        elif taken[number] == 3 and number in cancelled:
            scopes[number].cancel()
        elif job is not None:
            (job.entered if taken[number] == 2 else job.left).set()
        await settle()
    await it.finish()
    await it.act("read", 0)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_read_sees_what_a_write_before_it_replaced(backend):
    """In any order of reads, slow reads, writes and cancellations a read sees each write that ended before it began."""

    @settings(max_examples=examples(200), deadline=None, derandomize=True, database=None)
    @given(plays())
    def check(drawn):
        it, _ = anyio.run(functools.partial(play, *drawn), backend=backend)
        assert it.broken == []

    check()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_slower_read_does_not_bring_the_old_record_back(backend):
    """A read that is answered late with the old record is not kept: calls after the write do not get it."""
    orders = [
        # The slow read is let in before the write and out after it; the next one is sent, and its answer is kept.
        (3, "read; enter 0; write; serve 1; leave 0; read; serve 0; read"),
        # A second read comes while the write is under way: it does not join the slow one, and is not kept.
        (4, "read; enter 0; write; read; serve 1; leave 0; serve 0; read; serve 0; read"),
        # A read is asked for and answered while the write is under way, before that takes effect.
        (3, "write; read; serve 1; serve 0; read; serve 0; read"),
    ]
    for requests, order in orders:
        actions = [(*step.split(), 0)[:2] for step in order.split("; ")]
        it, server = anyio.run(functools.partial(play, [(name, int(n)) for name, n in actions]), backend=backend)
        assert it.broken == []
        assert (server.version, len(server.jobs)) == (1, requests)
        assert it.last == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("end", ["serve 1; serve 0", "serve 0; serve 0"])
def test_reads_that_began_before_a_write_share_their_request(backend, end):
    """Reads that began before a write get the answer they waited for, before the write's answer or after it."""
    order = f"read; read; read; write; {end}"
    actions = [(*step.split(), 0)[:2] for step in order.split("; ")]
    it, server = anyio.run(functools.partial(play, [(name, int(n)) for name, n in actions]), backend=backend)
    assert (it.reads, len(server.jobs), it.broken) == (3, 2, [])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_write_that_is_cancelled_may_have_happened(backend):
    """A write that is cancelled before its answer came empties the cache all the same."""
    order = [("read", 0), ("serve", 0), ("write", 0), ("enter", 0), ("cancel", 1), ("read", 0), ("serve", 1)]
    it, server = anyio.run(functools.partial(play, order), backend=backend)
    assert (it.reads, len(server.jobs)) == (2, 3)
