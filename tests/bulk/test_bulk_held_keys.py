"""Held keys: what a run may write while other runs, and its own earlier rows, have the same keys and records."""

from functools import partial

import anyio
import anyio.from_thread
import anyio.lowlevel
import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import claims_of, held_by

from carecloud_async.bulk import BulkWriteError
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.held_keys import HeldKeys
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import CheckedRow, Intent, Plan, Write

UPDATED = RowResult(outcome=Outcome.UPDATED)


@pytest.mark.anyio
async def test_parts_of_one_row_that_have_one_busy_key(clock):
    """Two properties of a customer whose properties another run writes both wait."""
    writes = [Write(id=number, row=1, kind="property", body=CheckedRow()) for number in (1, 2)]
    with claims_of(clock) as first, claims_of(clock) as second:
        first.claim(["a"])
        held = held_by(second, "a")
        assert await held.claim(writes) == ([], writes)
        first.release(["a"])
        assert await held.claim(writes) == (writes, [])
        await held.end([(one, UPDATED) for one in writes[:1]], rows=[])
        assert first.claim(["a"]).busy == {"a"}
        await held.end([(one, UPDATED) for one in writes[1:]], rows=[1])
        assert first.claim(["a"]).busy == set()


@pytest.mark.anyio
async def test_a_write_whose_key_was_let_go_takes_no_credit(clock):
    """A lost create is not reported as created if another run may have had its claim since."""
    write = Write(id=1, row=1, body=CheckedRow(), intent=Intent(was_absent=True))
    with claims_of(clock) as first:
        first.claim(["a"])
        ((same,), _) = await held_by(first, "a").claim([write])
        ((other,), _) = await held_by(first, "b").claim([write])
    assert same.intent.was_absent
    assert not other.intent.was_absent


@pytest.mark.anyio
@pytest.mark.parametrize(("read_at", "is_ready"), [(1000.0, False), (1001.0, True)])
async def test_a_record_that_another_run_has_written_is_read_again(clock, read_at, is_ready):
    """A base that was read before another run let go of its record is read again; one that was read later is not."""
    write = Write(id=1, row=1, body=CheckedRow())
    decided = [(write, Plan(kind="update", body={}, record_id="7", is_new=False, read_at=read_at))]
    with claims_of(clock) as first, claims_of(clock) as second:
        theirs, ours = held_by(first, "a"), held_by(second, "b")
        assert await theirs.claim_records(decided, let_go=0) == (decided, [])
        assert await ours.claim_records(decided, let_go=0) == ([], [write])
        clock.advance(0.5)
        await theirs.end([(write, UPDATED)], rows=[1])
        clock.advance(1)
        assert await ours.claim_records(decided, let_go=0) == ((decided, []) if is_ready else ([], [write]))
        await ours.end([(write, UPDATED)], rows=[1])


@pytest.mark.anyio
async def test_a_row_that_was_unchanged_before_an_earlier_row_of_its_record_was_written():
    """A row is looked up again if an earlier row of the run wrote its record after the look-up."""
    first, second = (Write(id=one, row=one, body=CheckedRow()) for one in (1, 2))
    plan = Plan(kind="update", body={}, record_id="7", is_new=False)
    unchanged = (second, RowResult(outcome=Outcome.UNCHANGED, record_id="7"))
    held = held_by(None, "a")
    assert await held.claim_records([(first, plan)], let_go=0) == ([(first, plan)], [])
    before = held.let_go
    await held.end([(first, UPDATED)], rows=[1])
    assert await held.claim_records([unchanged], let_go=before) == ([], [second])
    assert await held.claim_records([unchanged], let_go=held.let_go) == ([unchanged], [])


@pytest.mark.anyio
@pytest.mark.parametrize("end", ["written", "of no record"])
async def test_rows_that_wait_for_one_record_keep_their_order(end):
    """A later row does not overtake an earlier one that waits for the record too, though the record is free."""
    first, second, third = (Write(id=one, row=one, body=CheckedRow()) for one in (1, 2, 3))
    plans = [(one, Plan(kind="update", body={}, record_id="7", is_new=False)) for one in (first, second, third)]
    unchanged = (third, RowResult(outcome=Outcome.UNCHANGED, record_id="7"))
    held = held_by(None, "a")
    assert await held.claim_records(plans, let_go=0) == (plans[:1], [second, third])
    await held.end([(first, UPDATED)], rows=[1])
    assert await held.claim_records([unchanged], let_go=held.let_go) == ([], [third])
    if end == "written":
        assert await held.claim_records(plans[1:2], let_go=held.let_go) == (plans[1:2], [])
        assert await held.claim_records([unchanged], let_go=held.let_go) == ([], [third])
    else:
        refused = (second, RowResult(outcome=Outcome.REFUSED))
        assert await held.claim_records([refused], let_go=held.let_go) == ([refused], [])
    await held.end([(second, UPDATED)], rows=[2])
    assert await held.claim_records([unchanged], let_go=held.let_go) == ([unchanged], [])


@pytest.mark.anyio
async def test_a_lost_write_waits_for_its_key_without_its_record(clock):
    """A run that was continued lets another one have the record with the key: they do not wait for each other."""
    write = Write(id=1, row=1, body=CheckedRow(), intent=Intent(record_id="7"))
    with claims_of(clock) as first, claims_of(clock) as second:
        first.claim(["record 7"])
        second.claim(["a"])
        assert await held_by(first, "a").claim([write]) == ([], [write])
        assert second.claim(["record 7"]).busy == set()


@pytest.mark.anyio
async def test_two_runs_change_one_record_by_two_keys(clock):
    """A row that finds its record by id and one by e-mail are written one after the other, and nothing is lost."""
    server, read = CustomerServer(clock), anyio.Event()
    customer_id = server.add("a@example.com", first_name="Old", last_name="Old")

    async def arrived(request):
        if request.method == "GET" and "email_list" in str(request.url):
            read.set()
        if request.method == "PUT":
            await read.wait()
            for _ in range(50):  # the answer of the other run's look-up, which has the old record, comes first
                await anyio.lowlevel.checkpoint()

    server.arrived = arrived
    async with client_of(server, clock) as client, anyio.create_task_group() as tasks:
        by_id = [{"customer_id": customer_id, "first_name": "New"}]
        tasks.start_soon(partial(client.customers.bulk_write, by_id, match="customer_id"))
        by_email = [{"email": "a@example.com", "last_name": "New"}]
        tasks.start_soon(partial(client.customers.bulk_write, by_email, match="email"))
    person = server.customers[customer_id]["personal_information"]
    assert (person["first_name"], person["last_name"]) == ("New", "New")
    assert server.sent == ["PUT", "PUT"]


class SlowLookUps(CustomerServer):
    """A server whose answer to the look-up by e-mail is on its way until another run has ended.

    Attributes:
        read: whether that answer is on its way.
        ended: whether the other run has ended.
    """

    def __init__(self, clock):
        super().__init__(clock)
        self.read, self.ended = anyio.Event(), anyio.Event()

    async def handle_async_request(self, request):
        if request.method == "PUT":
            await self.read.wait()
        answer = await super().handle_async_request(request)
        if "email_list" in str(request.url) and not self.read.is_set():
            self.read.set()
            await self.ended.wait()
        return answer


@pytest.mark.anyio
async def test_a_record_that_was_written_in_the_tick_in_which_it_was_read(clock):
    """The clock shows one time for the look-up and for the end of the other run's write: the record is read again."""
    server = SlowLookUps(clock)
    customer_id = server.add("a@example.com", first_name="Old", last_name="Old")
    async with client_of(server, clock) as client, anyio.create_task_group() as tasks:
        by_email = [{"email": "a@example.com", "last_name": "New"}]
        tasks.start_soon(partial(client.customers.bulk_write, by_email, match="email"))
        by_id = [{"customer_id": customer_id, "first_name": "New"}]
        await client.customers.bulk_write(by_id, match="customer_id")
        server.ended.set()
    person = server.customers[customer_id]["personal_information"]
    assert (person["first_name"], person["last_name"]) == ("New", "New")


@pytest.mark.anyio
async def test_a_record_is_held_until_the_claims_know_that_it_was_let_go(clock):
    """An engine that looked a record up before another one wrote it looks it up again, if they share their claims."""
    taken, found = {}, []
    first, second = (Write(id=number, row=number, body=CheckedRow()) for number in (1, 2))
    plan = Plan(kind="update", body={}, record_id="7", is_new=False, read_at=clock.monotonic())

    class Slow(Claims):
        def release(self, keys, *, written=()):
            if not found:
                found.append(anyio.from_thread.run(partial(ours.claim_records, [(second, plan)], let_go=0)))
            super().release(keys, written=written)

    with Slow(project="p", clock=clock, settle_seconds=35.0) as claims:
        theirs, ours = held_by(claims, "a", taken=taken), held_by(claims, "b", taken=taken)
        await theirs.claim_records([(first, plan)], let_go=0)
        clock.advance(1)
        await theirs.end([(first, UPDATED)], rows=[1])
        assert found == [([], [second])]
        assert await ours.claim_records([(second, plan)], let_go=0) == ([], [second])


@pytest.mark.anyio
async def test_what_the_claims_could_not_let_go_is_free_for_other_engines(clock):
    """If the disk is full when an engine ends, rows with its keys do not wait for ever in other engines."""
    taken, problems = {}, []

    class Full(Claims):
        def leave(self, keys):
            raise BulkWriteError("the disk is full")

    def engine():
        return HeldKeys(
            claims,
            keys_of=lambda write: [str(write.row % 10)],
            claim_of=lambda _write, record: record,
            taken=taken,
            shows_lost_creates=True,
        )

    def write(row):
        return Write(id=row, row=row, body=CheckedRow())

    with Full(project="p", clock=clock, settle_seconds=35.0) as claims:
        theirs = engine()
        await theirs.claim([write(1), write(2)])
        theirs.doubt([write(1)])
        try:
            await theirs.leave()
        except BulkWriteError as error:
            problems.append(error.problem)
        ready, others = await engine().claim([write(12)])
    assert (problems, len(ready), others) == (["the disk is full"], 1, [])
