"""Writes that come late: the settle time begins when the request was lost, not when it was intended."""

import contextlib
import copy
import sqlite3

import httpx
import pytest
from bulk_tools import (
    SOURCE,
    StopError,
    UptimeClock,
    claim_of_a_killed_run,
    connect,
    counts,
    create_with_late_write,
    emails,
    people,
    stop_while_it_waits,
)
from kit import through
from memory_servers import CustomerServer, client_of
from thorough import variants

from carecloud_async import RateLimitError, Timeout
from carecloud_async._base.runs import RunFile
from carecloud_async._base.runtime.clock import boot_id
from carecloud_async._base.runtime.durable_files import state_folder
from carecloud_async.bulk.journal import KIND
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox(clock):
    return Sandbox(customers=10, seed=1, clock=clock.time)


async def test_a_row_that_was_sent_long_after_it_was_intended(sandbox, clock):
    """A row that waited for others is looked up until the settle time after its answer was lost, and made once."""
    async with connect(sandbox, clock=clock) as client:
        sandbox.faults.add("POST /customers", status=429, retry_after=10, times=10)
        sandbox.faults.add("POST /customers", status=504, late=20.0, after=11)
        with client.record_calls() as calls:
            report = await client.customers.bulk_write(people(4), match="email", defaults=SOURCE, concurrency=1)
        assert counts(report) == {"created": 4}
        # One login, ten calls that met the 429, and each row once.
        assert len([call for call in calls if call.method == "POST"]) == 1 + 10 + 4
        clock.advance(100)
        found = await emails(client)
    assert [found[row["email"]] for row in people(4)] == [1] * 4


async def test_a_key_that_a_killed_run_claimed_long_before_it_was_killed(sandbox, clock):
    """The settle time of a killed run's keys begins when its end is noticed: its last request left before."""
    async with connect(sandbox, clock=clock) as client:
        with claim_of_a_killed_run(client, clock):
            clock.advance(300)
            await create_with_late_write(client, sandbox)
            report = await client.customers.bulk_write(people(3), match="email", defaults=SOURCE)
            assert counts(report) == {"created": 2, "updated": 1}
            clock.advance(100)
            assert (await emails(client))["new0@example.com"] == 1


async def test_a_run_goes_on_with_a_shorter_timeout(server, clock, tmp_path):
    """What a run with a timeout of 60 s has lost is left alone for that long also by runs that wait 5 s for answers."""
    arguments = {"match": "email", "defaults": SOURCE, "journal": tmp_path / "journal.db", "resume": True}
    server.faults = [40.0]
    for seconds in (60.0, 5.0):
        async with client_of(server, clock, timeout=Timeout(read=seconds)) as client:
            with pytest.raises(StopError):
                await client.customers.bulk_write(people(1), on_progress=stop_while_it_waits, **arguments)
    async with client_of(server, clock, timeout=Timeout(read=5.0)) as client:
        assert counts(await client.customers.bulk_write(people(1), **arguments)) == {"created": 1}
    clock.advance(100)
    server.work_late()
    assert len(server.customers) == 1


async def test_a_create_that_meets_429_leaves_soon_after_its_look_up(server, write):
    """A create that is refused with 429 for long is looked up again, and a record made meanwhile is not doubled."""
    server.faults = ["busy"] * 12

    async def arrived(_request):
        if len(server.sent) == 6 and not server.customers:
            server.add("new0@example.com", last_name="Theirs")

    server.arrived = arrived
    report = await write(people(1))
    assert counts(report) == {"updated": 1}
    assert server.emails() == {"new0@example.com": 1}


async def test_the_parts_of_a_refused_batch_leave_soon_after_their_look_ups(sandbox, clock):
    """A batch that a slow server refuses is divided only while its look-ups are fresh; the rest is looked up again."""
    sent = []

    async def on_request(request):
        if request.method == "GET":
            sent.append("look-up")
        elif request.path.endswith("/batch"):
            sent.append(len(request.json()["products"]))
            clock.advance(6.0)

    async with connect(sandbox, clock=clock) as client:
        sandbox.on_request = on_request
        rows = [{"code": f"c{number}", "name": f"No {number}", "plu_ids": []} for number in range(4)]
        sandbox.faults.add("POST /products/batch", status=400)
        report = await client.products.bulk_write(rows, match="code")
    assert counts(report) == {"created": 4}
    assert sent[-5:] == [4, 2, "look-up", "look-up", 2]


@pytest.mark.skipif(boot_id() is None, reason="this system does not tell one boot from another")
async def test_a_run_goes_on_on_another_host(tmp_path, monkeypatch):
    """On a host that was up for longer, what was lost on another one a moment ago has not settled yet."""
    clock = UptimeClock(0.0)
    server = CustomerServer(clock)
    arguments = {"match": "email", "defaults": SOURCE, "journal": tmp_path / "journal.db", "resume": True}
    server.faults = [20.0]
    async with client_of(server, clock) as client:
        with pytest.raises(StopError):
            await client.customers.bulk_write(people(1), on_progress=stop_while_it_waits, **arguments)
        with RunFile.open(arguments["journal"], kind=KIND, binding=None, resume=True) as file, file.transaction():
            assert file.get("boot") == boot_id()
            file.set("boot", "of another host")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        clock.uptime = 100_000.0
        with pytest.raises(StopError):
            await client.customers.bulk_write(people(1), on_progress=stop_while_it_waits, **arguments)
        clock.advance(30.0)
        before = clock.monotonic()
        await client.customers.bulk_write(people(1), **arguments)
        assert clock.monotonic() - before < 10
    server.work_late()
    assert len(server.customers) == 1


@pytest.mark.skipif(boot_id() is None, reason="this system does not tell one boot from another")
async def test_a_key_that_was_left_on_another_host():
    """On a host that was up for longer, the key of a stopped run has not settled yet."""
    clock = UptimeClock(0.0)
    server = CustomerServer(clock)
    server.faults = [20.0]
    async with client_of(server, clock) as client:
        with pytest.raises(StopError):
            await client.customers.bulk_write(
                people(1), on_progress=stop_while_it_waits, match="email", defaults=SOURCE
            )
        with contextlib.closing(sqlite3.connect(state_folder() / "claims-2.db")) as claims:
            claims.execute("PRAGMA user_version=1")
        clock.uptime = 100_000.0
        began = clock.monotonic()
        await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)
        assert clock.monotonic() - began > 55
    server.work_late()
    assert len(server.customers) == 1


@pytest.mark.parametrize("rows", [5, *variants(100)])
async def test_a_server_that_takes_no_writes_for_two_minutes(server, clock, write, rows):
    """429s for two minutes, that ask to wait for longer than a look-up lasts, end no run."""
    end = clock.monotonic() + 120

    def busy(request):
        is_early = request.url.path.endswith("/customers") and clock.monotonic() < end
        return httpx.Response(429, headers={"Retry-After": "20"}) if is_early and request.method == "POST" else None

    assert counts(await write(people(rows), transport=through(server, busy))) == {"created": rows}


async def test_a_server_that_takes_no_writes_at_all(server, write, clock):
    """A run that can send nothing for five minutes ends with the error of the server."""
    began = clock.monotonic()
    server.faults = ["busy"] * 100_000
    with pytest.raises(RateLimitError):
        await write(people(100))
    assert 300 <= clock.monotonic() - began < 400


class Replica(httpx.AsyncBaseTransport):
    """A server whose lists show what was there some seconds ago."""

    def __init__(self, server, clock, *, seconds):
        self.server, self.clock, self.seconds, self.states = server, clock, seconds, [(0.0, {})]

    async def handle_async_request(self, request):
        now, customers = self.clock.monotonic(), self.server.customers
        if request.method != "GET":
            answer = await self.server.handle_async_request(request)
            self.states.append((now, copy.deepcopy(customers)))
            return answer
        self.server.customers = next(state for at, state in reversed(self.states) if at <= now - self.seconds)
        try:
            return await self.server.handle_async_request(request)
        finally:
            self.server.customers = customers


@pytest.mark.parametrize("runs", [1, 2])
async def test_a_record_that_was_just_made_is_not_made_again(server, clock, runs):
    """A row whose key was made a moment ago, by this writer or another run, waits for a replica to show it."""
    async with client_of(Replica(server, clock, seconds=20.0), clock) as client:
        options, rows = {"match": "email", "defaults": SOURCE}, [people(1, last_name=name)[0] for name in "ab"]
        if runs == 1:
            async with client.customers.bulk_writer(**options) as writer:
                assert [(await writer.write(row)).outcome for row in rows] == ["created", "updated"]
        else:
            reports = [counts(await client.customers.bulk_write([row], **options)) for row in rows]
            assert reports == [{"created": 1}, {"updated": 1}]
    assert [customer["personal_information"]["last_name"] for customer in server.customers.values()] == ["b"]


async def test_a_record_that_was_made_and_deleted_is_made_again(server, write):
    """A row whose key was made a moment ago, and is not shown for a minute, makes a record."""
    for _ in range(2):
        server.customers.clear()
        report = await write(people(1))
        assert counts(report) == {"created": 1}
    assert 55 <= report.waited <= 60


@pytest.mark.parametrize("lost_by", ["another run", "this run"])
async def test_a_monotonic_clock_that_began_again(tmp_path, lost_by):
    """After a reboot that has no id (macOS, Windows), nothing waits for as long as the machine was up before."""
    clock = UptimeClock(500_000.0)
    server = CustomerServer(clock)
    arguments = {"match": "email", "defaults": SOURCE, "journal": tmp_path / "journal"}
    async with client_of(server, clock) as client:
        if lost_by == "another run":
            with claim_of_a_killed_run(client, clock):
                pass
        else:
            server.faults = ["after"]
            with pytest.raises(StopError):
                await client.customers.bulk_write(people(1), on_progress=stop_while_it_waits, **arguments)
        clock.uptime = 0.0
        before = clock.monotonic()
        report = await client.customers.bulk_write(people(1), resume=True, **arguments)
    assert counts(report) == {"created": 1}
    assert clock.monotonic() - before < 250
    assert len(server.customers) == 1
