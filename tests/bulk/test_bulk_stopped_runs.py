"""Runs that an error, a cancellation or a full disk stops: what they leave, and how the next one goes on."""

import asyncio
import os
import resource

import anyio
import anyio.lowlevel
import httpx
import pytest
from anyio import wait_all_tasks_blocked
from bulk_tools import (
    CARD_TYPE,
    SOURCE,
    StopError,
    UptimeClock,
    connect,
    counts,
    denied,
    people,
    stop_while_it_waits,
    write_jsonl,
)
from disks import file_of, watch_databases
from kit import through
from memory_servers import CustomerServer, client_of

from carecloud_async import CareCloudError
from carecloud_async.bulk import BulkWriteError, engine
from carecloud_async.bulk.claims import Claims
from carecloud_async.errors import WrongEventLoopError
from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio


async def test_a_row_that_was_never_sent_takes_no_credit(clock, sandbox, tmp_path):
    """A row that an error kept from being sent, and whose record another program makes, is updated by the next run."""
    options = {"match": "email", "defaults": SOURCE}
    source = write_jsonl(tmp_path / "c.jsonl", people(6, last_name="X"))
    async with connect(sandbox, clock=clock) as client:
        with denied(sandbox, "POST /customers"):
            await client.customers.bulk_write(source, concurrency=1, **options)
        # Nothing was sent: the keys are free at once, for a run of other rows too.
        before = len(clock.sleeps)
        others = await client.customers.bulk_write(people(6, last_name="Y"), **options)
        assert (counts(others), len(clock.sleeps)) == ({"created": 6}, before)
        assert counts(await client.customers.bulk_write(source, resume=True, **options)) == {"updated": 6}
        names = [customer.personal_information.last_name async for customer in client.customers.list(count=500)]
    assert names.count("X") == 6


async def test_a_part_that_waits_is_written_at_once_after_the_machine_was_restarted(sandbox, tmp_path):
    """A run stopped before a card, on a machine that was up for days, does not wait for days after a restart."""
    source = tmp_path / "c.jsonl"
    source.write_text('{"email":"k@example.com","language_id":"en","card_number":"6660"}\n')
    clock = UptimeClock(0.0)
    async with connect(sandbox, clock=UptimeClock(500_000.0)) as client:
        arguments = {"match": "email", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}}
        with denied(sandbox, "POST /cards"):
            await client.customers.bulk_write(source, **arguments)
    before = clock.monotonic()
    async with connect(sandbox, clock=clock) as client:
        report = await client.customers.bulk_write(source, resume=True, **arguments)
        assert await client.cards.list(card_number="6660").total() == 1
    assert counts(report) == {"created": 1}
    assert clock.monotonic() - before < 60


async def test_a_run_that_is_stopped_while_it_takes_over_loses_no_claim(sandbox, client, tmp_path, monkeypatch):
    """A row whose answer was lost is `created`, though a run ended right after it had taken over the row's claim."""
    arguments = {"match": "email", "defaults": SOURCE, "journal": tmp_path / "journal.db", "resume": True}
    adopt = Claims.adopt

    def adopt_and_stop(claims, owner):
        adopt(claims, owner)
        raise StopError

    sandbox.faults.add("POST /customers", status=504, worked=True)
    with pytest.raises(StopError):
        await client.customers.bulk_write(people(1), on_progress=stop_while_it_waits, **arguments)
    with monkeypatch.context() as patched, pytest.raises(StopError):
        patched.setattr(Claims, "adopt", adopt_and_stop)
        await client.customers.bulk_write(people(1), **arguments)
    assert counts(await client.customers.bulk_write(people(1), **arguments)) == {"created": 1}


async def test_an_error_stops_the_other_chunks(sandbox, client, monkeypatch):
    """After an error that ends a run no further chunk begins."""
    monkeypatch.setattr(engine, "CHUNK", 30)
    rows = people(200)
    sandbox.faults.add("POST /customers", status=403, after=10)
    with client.record_calls() as calls, pytest.raises(CareCloudError):
        await client.customers.bulk_write(rows, match="email", defaults=SOURCE, concurrency=4)
    assert len([call for call in calls if call.method == "POST"]) <= 3 * 30 + 2


async def test_rows_of_a_writer_that_is_left_by_an_error_are_not_left_waiting(sandbox, client):
    """Rows that other tasks gave to a writer raise when its block ends with an error."""
    failed, sent = [], anyio.Event()
    sandbox.faults.add("POST /customers", delay=3600.0, times=None)
    sandbox.on_request = lambda request: request.name == "POST /customers" and sent.set()

    async def write(writer, row):
        with pytest.raises(BulkWriteError, match="was stopped"):
            await writer.write(row)
        failed.append(row)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            with pytest.raises(ZeroDivisionError):
                async with client.customers.bulk_writer(match="email", defaults=SOURCE) as writer:
                    for row in people(5):
                        tasks.start_soon(write, writer, row)
                    await sent.wait()
                    raise ZeroDivisionError
    assert len(failed) == 5


async def test_a_full_disk_stops_a_run_and_the_next_one_goes_on(client, tmp_path):
    """When the journal cannot grow the error says how to go on, and every row is made once in the end."""
    source = tmp_path / "c.jsonl"
    rows = people(400, first_name="N" * 60)
    source.write_text("".join(f'{{"email":"{row["email"]}","language_id":"en"}}\n' for row in rows))
    results = tmp_path / "r.csv"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    await client.login()
    for size in (20_000, 60_000, 150_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            with pytest.raises(BulkWriteError, match="resume=True"):
                await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results, resume=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not results.exists()
    report = await client.customers.bulk_write(source, match="email", defaults=SOURCE, results=results, resume=True)
    assert counts(report) == {"created": 400}
    total = await client.customers.list().total()
    assert total == 460


async def test_a_run_that_is_cancelled_while_it_sends(server, write, clock, tmp_path):
    """A row that was under way when its run was cancelled is not sent again at once: its request may act still."""
    scope, cancelled_at = anyio.CancelScope(), 0.0
    arguments = {"match": "email", "defaults": SOURCE, "journal": tmp_path / "journal"}

    async def arrived(request):
        nonlocal cancelled_at
        if request.method == "POST" and request.url.path.endswith("/customers") and not cancelled_at:
            cancelled_at = clock.monotonic()
            scope.cancel()
            await anyio.lowlevel.checkpoint()
        if cancelled_at and clock.monotonic() > cancelled_at + 20 and not server.customers:  # it acts
            server.add(**people(1)[0])

    server.arrived = arrived
    with scope:
        await write(people(1), **arguments)
    assert scope.cancelled_caught
    assert counts(await write(people(1), resume=True, **arguments)) == {"created": 1}
    assert server.sent == []


async def test_a_key_stays_claimed_when_the_run_that_goes_on_is_stopped_too(server, write, clock, tmp_path):
    """The run that goes on with a lost row is stopped after a look-up: a run of other rows waits for the row's key."""
    arguments = {"match": "email", "defaults": SOURCE}
    server.faults = [50.0]
    stops_at = clock.monotonic()

    def stop_later(progress):
        if progress.waits_for and clock.monotonic() >= stops_at:
            raise StopError

    for seconds in (0, 35):
        stops_at += seconds
        with pytest.raises(StopError):
            await write(people(1), journal=tmp_path / "one", resume=True, on_progress=stop_later, **arguments)
    await write(people(1), journal=tmp_path / "other", **arguments)
    clock.advance(100)
    server.work_late()
    assert len(server.customers) == 1


async def test_a_run_takes_no_credit_for_what_another_one_made(server, write, clock, tmp_path):
    """A create was lost and did nothing, and another run made the record; the first one is stopped when it goes on."""
    arguments = {"match": "email", "defaults": SOURCE}
    server.faults = ["before"]
    with pytest.raises(StopError):
        await write(people(1), journal=tmp_path / "one", on_progress=stop_while_it_waits, **arguments)
    clock.advance(1000)
    other = await write(people(1), journal=tmp_path / "other", **arguments)
    arguments |= {"journal": tmp_path / "one", "resume": True}
    scope = anyio.CancelScope()

    async def cancel(_request):
        scope.cancel()
        await anyio.lowlevel.checkpoint()

    server.arrived = cancel
    with scope:
        await write(people(1), **arguments)
    server.arrived = None
    report = await write(people(1), **arguments)
    assert (counts(other), counts(report)) == ({"created": 1}, {"updated": 1})


async def test_a_cancelled_run_sends_no_more_parts(sandbox, client, tmp_path):
    """A run that is cancelled while records are made writes no cards of them any more; the next run does."""
    source = write_jsonl(
        tmp_path / "c.jsonl",
        [
            {"email": f"k{number}@example.com", "language_id": "en", "card_number": f"6660{number}"}
            for number in range(6)
        ],
    )
    arguments = {"match": "email", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}, "concurrency": 2}
    scope = anyio.CancelScope()
    made = 0

    async def cancel(request):
        nonlocal made
        made += request.template == "/customers" and request.method == "POST"
        if made == 4:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    sandbox.on_request = cancel
    with client.record_calls() as calls, scope:
        await client.customers.bulk_write(source, **arguments)
    assert scope.cancelled_caught
    assert [call for call in calls if "/cards" in call.path and call.method != "GET"] == []
    sandbox.on_request = None
    report = await client.customers.bulk_write(source, resume=True, **arguments)
    assert counts(report) == {"created": 6}
    numbers = [card.card_number async for card in client.cards.list(count=500)]
    assert sorted(number for number in numbers if number.startswith("6660")) == [f"6660{number}" for number in range(6)]


async def test_what_is_about_to_be_sent_is_durable(sandbox, client, tmp_path, monkeypatch):
    """From the first request on, journal and claims are on the disk when a commit returns, in a resumed run too."""
    source = write_jsonl(tmp_path / "c.jsonl", people(6))
    seen = []

    def watch(database, statement):
        if statement == "COMMIT" and sandbox.count("GET /customers") > asked:
            modes = [database.execute(f"PRAGMA {value}").fetchone()[0] for value in ("journal_mode", "synchronous")]
            seen.append((file_of(database), *modes))

    watch_databases(monkeypatch, watch)
    asked = 0
    with denied(sandbox, "POST /customers", after=3):
        await client.customers.bulk_write(source, match="email", defaults=SOURCE, concurrency=1)
    first, asked = len(seen), sandbox.count("GET /customers")
    await client.customers.bulk_write(source, match="email", defaults=SOURCE, resume=True)
    assert len({file for file, *_ in seen}) == 2
    assert {*seen[:first]} == {*seen[first:]} == {(file, "wal", 2) for file, *_ in seen}


async def test_a_finished_run_of_rows_without_a_key_is_remembered(client, tmp_path):
    """A keyless file that was written is not written again by `resume`: a kill may come before its end is known."""
    source = tmp_path / "c.jsonl"
    source.write_text('{"first_name":"N","language_id":"en"}\n' * 3 + "no row\n")
    arguments = {"match": None, "defaults": SOURCE, "resume": True}
    first = await client.customers.bulk_write(source, **arguments)
    os.utime(source, (2e9, 2e9))  # written again, with the same rows
    again = await client.customers.bulk_write(source, **arguments)
    assert again.resumed
    assert counts(again) == counts(first) == {"created": 3, "refused": 1}
    assert await client.customers.list().total() == 63
    # A changed file is another run, and without `resume` it is meant to be written again.
    source.write_text('{"first_name":"Other","language_id":"en"}\n')
    assert counts(await client.customers.bulk_write(source, **arguments)) == {"created": 1}
    assert counts(await client.customers.bulk_write(source, **{**arguments, "resume": False})) == {"created": 1}
    assert await client.customers.list().total() == 65


async def test_rows_without_a_key_are_not_written_again_for_a_file_of_results(sandbox, client, tmp_path):
    """Asked for results afterwards, a finished run of rows without a key says that it has none, and makes no record."""
    more = {"match": None, "defaults": SOURCE, "journal": tmp_path / "j.db", "resume": True}
    await client.customers.bulk_write(people(2), **more)
    for _ in range(2):
        with pytest.raises(BulkWriteError, match="has written these rows"):
            await client.customers.bulk_write(people(2), results=tmp_path / "r.csv", **more)
    assert counts(await client.customers.bulk_write(people(2), **more)) == {"created": 2}
    assert sandbox.count("POST /customers") == 2


class _Replica(httpx.AsyncBaseTransport):
    """A server whose lists show no customer for twenty seconds after one was made."""

    def __init__(self, sandbox, clock):
        self._inner, self._clock, self._shown_at = sandbox.transport(), clock, 0.0

    async def handle_async_request(self, request):
        if request.url.path.endswith("/customers"):
            if request.method == "POST":
                self._shown_at = self._clock.monotonic() + 20.0
            elif self._clock.monotonic() < self._shown_at:
                return httpx.Response(200, json={"data": {"customers": [], "total_items": 0}})
        return await self._inner.handle_async_request(request)


async def test_a_record_of_a_row_whose_card_is_lost_is_not_made_again(sandbox, tmp_path):
    """A run that goes on with a lost card lets go of the row's key as of one just made: a replica may not show it."""
    clock, row = FakeClock(), people(1)[0]
    async with connect(sandbox, clock=clock, transport=_Replica(sandbox, clock)) as client:
        card = {**row, "card_number": "6660"}
        arguments = {"match": "email", "defaults": {**SOURCE, "card_type_id": CARD_TYPE}, "resume": True}
        sandbox.faults.add("POST /cards", status=504)
        for _ in range(2):
            with pytest.raises(StopError):
                await client.customers.bulk_write(
                    [card], journal=tmp_path / "a.db", on_progress=stop_while_it_waits, **arguments
                )
        report = await client.customers.bulk_write([row], match="email", defaults=SOURCE)
        clock.advance(30.0)
        assert counts(report) == {"unchanged": 1}
        assert await client.customers.list(email="new0@example.com").total() == 1


#: After this a row is taken to wait forever (seconds).
SECONDS = 30


@pytest.mark.parametrize("entered", [False, True])
async def test_a_writer_outside_its_block_refuses_rows(clock, entered):
    """A writer raises before its block and after it, and says where to write."""
    async with client_of(CustomerServer(clock), clock) as client:
        writer = client.customers.bulk_writer(match="email", defaults=SOURCE)
        if entered:
            async with writer:
                pass
        with anyio.fail_after(SECONDS), pytest.raises(BulkWriteError, match="async with"):
            await writer.write(people(1)[0])


async def test_a_writer_refuses_rows_of_another_event_loop(clock):
    """A thread with an event loop of its own is refused at once: it would wait for the outcome without end."""
    async with (
        client_of(CustomerServer(clock), clock) as client,
        client.customers.bulk_writer(match="email", defaults=SOURCE) as writer,
    ):
        with pytest.raises(WrongEventLoopError):
            await anyio.to_thread.run_sync(lambda: asyncio.run(writer.write(people(1)[0])))


async def test_a_writer_whose_block_ends_takes_no_more_rows(clock):
    """A row that is given while the block waits for earlier rows is an error; the earlier rows have their outcomes."""
    server, first, second = CustomerServer(clock), *people(2)
    outcomes, errors, posted = [], [], anyio.Event()

    async def write_second(request):
        if request.method == "POST" and request.url.path.endswith("/customers"):
            posted.set()
            await wait_all_tasks_blocked()  # the block has ended and waits for this row
            try:
                with anyio.fail_after(SECONDS):
                    await writer.write(second)
            except (BulkWriteError, TimeoutError) as error:
                errors.append(str(error))

    server.arrived = write_second
    async with client_of(server, clock) as client, anyio.create_task_group() as tasks:

        async def write_first():
            outcomes.append((await writer.write(first)).outcome)

        writer = client.customers.bulk_writer(match="email", defaults=SOURCE)
        async with writer:
            tasks.start_soon(write_first)
            await posted.wait()
    assert outcomes == ["created"]
    assert errors == ["the bulk writer is not open: write inside its `async with` block"]
    assert list(server.emails()) == [first["email"]]


async def test_a_row_whose_names_are_read_while_the_block_ends_is_an_error(sandbox):
    """A row whose names of properties arrive after the block has ended is refused; its task does not wait forever."""
    asked, over, errors = anyio.Event(), anyio.Event(), []

    async def wait(request):
        if "propert" in request.url.path and not asked.is_set():
            asked.set()
            await over.wait()

    async def write():
        try:
            with anyio.fail_after(SECONDS):
                await writer.write({"email": "a@example.com", f"property.{name}": "1"})
        except (BulkWriteError, TimeoutError) as error:
            errors.append(str(error))

    name = sandbox.records("customer-properties").ids()[0]
    async with connect(sandbox, transport=through(sandbox, wait)) as client, anyio.create_task_group() as tasks:
        async with client.customers.bulk_writer(match="email") as writer:
            tasks.start_soon(write)
            await asked.wait()
        over.set()
    assert errors == ["the bulk writer is not open: write inside its `async with` block"]
