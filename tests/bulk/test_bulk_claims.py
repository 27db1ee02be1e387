"""Claims: two runs never write one key at the same time, however the runs end."""

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, people
from disks import watch_databases

from carecloud_async._base.runs import Database
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async._base.runtime.user_folders import state_folder
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.held_keys import HeldKeys
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import CheckedRow, Intent, Plan, Write
from carecloud_async.pytest_plugin.clock import FakeClock

#: A run that claims a key, says so and waits to be killed.
RUN = """
import sys, time
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.held_keys import HeldKeys
from carecloud_async.bulk.rows import CheckedRow, Intent, Write
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async._base.runtime.user_folders import state_folder
with Claims(project="p", clock=SystemClock(), settle_seconds=35.0) as claims:
    claims.claim(["a"])
    print("claimed", flush=True)
    time.sleep(600)
"""

ROWS = people(1)


@pytest.fixture
def clock():
    return FakeClock()


def claims_of(clock, project="p"):
    """The claims of a run."""
    return Claims(project=project, clock=clock, settle_seconds=35.0)


def held_by(claims, key):
    """What a run holds whose writes all have one key."""
    return HeldKeys(
        claims,
        keys_of=lambda _write: [key],
        claim_of=lambda record: f"record {record}",
        records={},
        shows_lost_creates=True,
    )


def test_a_key_has_one_run(clock):
    """A key that a run has is busy for another one until it is released; another project's is not."""
    with claims_of(clock) as first, claims_of(clock) as second, claims_of(clock, "q") as other:
        assert first.claim(["a"]).new == {"a"}
        assert first.claim(["a"]).new == set()
        assert second.claim(["a", "b"]).busy == {"a"}
        assert other.claim(["a"]).busy == set()
        first.release(["a"])
        assert second.claim(["a"]).busy == set()


def test_a_key_that_is_left_is_free_after_the_settle_time(clock):
    """While a left write may still take effect, its key is busy for every run, also for the run that left it."""
    with claims_of(clock) as first, claims_of(clock) as second:
        first.claim(["a"])
        first.leave(["a"])
        clock.advance(34)
        assert first.claim(["a"]).busy == second.claim(["a"]).busy == {"a"}
        clock.advance(1)
        assert second.claim(["a"]).new == {"a"}
        assert first.claim(["a"]).busy == {"a"}


def test_a_run_that_is_continued_keeps_its_keys(clock):
    """The run that continues another one takes over its claims at once, but not those that others took since."""
    with claims_of(clock) as first:
        first.claim(["a", "b"])
    clock.advance(35)
    with claims_of(clock) as other:
        assert other.claim(["b"]).new == {"b"}
        with claims_of(clock) as second:
            second.adopt(first.owner)
            again = second.claim(["a", "b"])
    assert (again.busy, again.new) == ({"b"}, set())


@pytest.mark.anyio
async def test_a_key_that_was_left_stays_left_until_its_row_has_its_outcome(clock):
    """A row that gives back the key of a stopped run's write leaves it for the next run as it found it."""
    write = Write(id=1, row=1, key="a", body=CheckedRow(key=("a",)))
    with claims_of(clock) as first:
        first.claim(["a"])
    clock.advance(35)
    for _ in range(2):
        with claims_of(clock) as claims:
            held = held_by(claims, "a")
            ((ready,), _others) = await held.claim([write])
            assert ready.is_doubted
            await held.release([ready])
            ((ready,), _others) = await held.claim([write])
            assert ready.is_doubted
            await held.release([ready])
    with claims_of(clock) as claims:
        held = held_by(claims, "a")
        await held.claim([write])
        await held.end([write], rows=[1])
        ((ready,), _others) = await held.claim([write])
        assert not ready.is_doubted


def test_a_doubt_outlives_the_run_that_met_it(clock):
    """A run that is stopped before it could look up a key of doubt leaves the doubt to the run that continues it."""
    with claims_of(clock) as first:
        first.claim(["a"])
    clock.advance(35)
    with claims_of(clock) as second:
        assert second.claim(["a"]).doubted == {"a"}
    with claims_of(clock) as third:
        third.adopt(second.owner)
        third.keep_only(())
        assert third.claim(["a"]).doubted == {"a"}


def test_an_abandoned_key_belongs_to_no_run(clock):
    """The run that continues another one neither has the keys that were abandoned, nor releases them."""
    with claims_of(clock) as first:
        first.claim(["a", "b"])
        first.abandon(["a"])
    with claims_of(clock) as second:
        second.adopt(first.owner)
        second.keep_only(["b"])
        clock.advance(35)
        found = second.claim(["a", "b"])
    assert (found.busy, found.doubted) == (set(), {"a"})


def test_the_clock_of_another_start_of_the_machine(clock):
    """A time ahead of the clock is from before the machine started, and counts as now."""
    with claims_of(clock) as first:
        clock.advance(5000)
        first.claim(["a"])
    restarted = FakeClock()
    with claims_of(restarted) as second:
        assert second.claim(["a"]).busy == {"a"}
        restarted.advance(35)
        assert second.claim(["a"]).busy == set()


class LaterClock(SystemClock):
    """The real clock, ahead by some seconds."""

    ahead = 0.0

    def monotonic(self):
        return super().monotonic() + self.ahead


def test_a_run_that_is_killed_leaves_its_keys():
    """The key of a process is busy while it lives, though it does nothing; killed, it is free after the settle time."""
    clock, names = LaterClock(), ("XDG_STATE_HOME", "PATH")
    variables = {"PYTHONPATH": os.pathsep.join(sys.path), **{name: os.environ[name] for name in names}}
    child = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, env=variables)
    with child, claims_of(clock) as claims:
        assert child.stdout.readline() == b"claimed\n"
        clock.ahead = 1000.0
        assert claims.claim(["a"]).busy == {"a"}
        child.kill()
        child.wait()
        assert claims.claim(["a"]).busy == {"a"}  # its end is noticed now
        clock.ahead += 36.0
        assert claims.claim(["a"]).new == {"a"}


#: A run that claims keys, says which are busy, and ends.
SHORT_RUN = """
import sys
from carecloud_async.bulk.claims import Claims
from carecloud_async._base.runtime.clock import SystemClock
with Claims(project="p", clock=SystemClock(), settle_seconds=35.0) as claims:
    busy = claims.claim(sys.argv[1:]).busy
    claims.release(set(sys.argv[1:]) - busy)
    print(*sorted(busy))
"""


def busy_elsewhere(*keys):
    """The keys of these that are busy for a run of another process."""
    variables = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        **{name: os.environ[name] for name in ("XDG_STATE_HOME", "PATH")},
    }
    command = [sys.executable, "-c", SHORT_RUN, *keys]
    return subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout.split()


def test_a_run_that_ends_takes_no_lock_of_its_process_with_it():
    """A key is busy for other processes after two runs have ended, one of its own process and one of another."""
    with claims_of(SystemClock()) as first:
        first.claim(["a"])
        with claims_of(SystemClock()):
            pass
        assert busy_elsewhere("a") == ["a"]
        first.claim(["b"])
        assert busy_elsewhere("a", "b") == ["a", "b"]


def test_a_new_state_folder_gives_no_number_twice(clock, monkeypatch, tmp_path):
    """A run that continues a journal from before the state folder was lost takes over no claims of another run."""
    with claims_of(clock) as before:
        remembered = before.owner
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "new"))
    with claims_of(clock) as running, claims_of(clock) as continued, claims_of(clock) as third:
        running.claim(["a"])
        continued.adopt(remembered)
        continued.keep_only([])
        assert third.claim(["a"]).busy == {"a"}


def test_a_copy_of_a_journal_takes_over_nothing_of_a_run_that_goes_on(clock):
    """A run that continues a copy of a journal leaves the claims of the run that still has the original."""
    with claims_of(clock) as running, claims_of(clock) as copy, claims_of(clock) as third:
        running.claim(["a"])
        copy.adopt(running.owner)
        copy.keep_only([])
        assert third.claim(["a"]).busy == {"a"}


def test_a_new_file_is_switched_while_another_program_has_it(tmp_path):
    """A run that begins while another one makes the file of claims waits for it."""

    class ExplainedError(Exception):
        """What is made of SQLite's errors."""

    path = tmp_path / "new.db"
    other = Database(path, explain=lambda error: ExplainedError(error.sqlite_errorname), timeout=60.0)
    db = Database(path, explain=lambda error: ExplainedError(error.sqlite_errorname), timeout=60.0)
    other.start()
    thread = threading.Thread(target=db.write_ahead)
    thread.start()
    other.execute("CREATE TABLE one (value)")
    other.commit()
    thread.join()
    assert db.execute("PRAGMA journal_mode") == [("wal",)]
    other.close()
    db.close()


def test_many_runs_begin_and_end_at_once(clock):
    """Runs that begin, claim and end at the same time never have one key together, and leave few files."""
    holders, errors, guard = Counter(), [], threading.Lock()

    def run():
        try:
            for _ in range(4):
                with claims_of(clock) as claims:
                    if not claims.claim(["a"]).busy:
                        with guard:
                            holders["now"] += 1
                            holders["most"] = max(holders["most"], holders["now"])
                            holders["times"] += 1
                        with guard:
                            holders["now"] -= 1
                        claims.release(["a"])
        except Exception as error:  # noqa: BLE001  (shown below)
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert holders["most"] == 1
    assert holders["times"] > 0
    assert len(list(state_folder().glob("run-*.lock"))) <= 16


@pytest.mark.asyncio
async def test_an_import_that_is_cancelled_again_while_it_ends_is_over(clock, monkeypatch, tmp_path):
    """`Task.cancel()` at each step of an import's end: the keys that it leaves are free after the settle time."""
    at, steps = 0, 1
    while at < steps:
        at, steps = at + 1, await steps_of_an_end(clock, monkeypatch, tmp_path / str(at), cancel_at=at)
        server = CustomerServer(clock)
        async with client_of(server, clock) as client:
            with anyio.fail_after(60):
                report = await client.customers.bulk_write(ROWS, match="email", defaults=SOURCE)
        assert report.created == 1
        assert report.waited < 40
    assert at > 3


async def steps_of_an_end(clock, monkeypatch, folder, *, cancel_at):
    """Cancel an import whose answer is lost while it waits, and again at a statement of its end; count these."""
    folder.mkdir()
    server, steps, loop = CustomerServer(clock), 0, asyncio.get_running_loop()
    server.writes = ["after"]

    def step(_database, _statement):
        nonlocal steps
        steps += task.cancelling() > 0
        if steps == cancel_at and task.cancelling() == 1:
            cancelled = threading.Event()
            loop.call_soon_threadsafe(lambda: (task.cancel(), cancelled.set()))
            cancelled.wait()

    def stop(progress):
        if progress.waits_for and not task.cancelling():
            task.cancel()

    with monkeypatch.context() as patch:
        watch_databases(patch, step)
        async with client_of(server, clock) as client:
            options = {"match": "email", "defaults": SOURCE, "journal": folder / "j.db", "on_progress": stop}
            task = asyncio.create_task(client.customers.bulk_write(ROWS, **options))
            with pytest.raises(asyncio.CancelledError):
                await task
    return steps


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
        await held.end(writes[:1], rows=[])
        assert first.claim(["a"]).busy == {"a"}
        await held.end(writes[1:], rows=[1])
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
        await theirs.end([write], rows=[1])
        clock.advance(1)
        assert await ours.claim_records(decided, let_go=0) == ((decided, []) if is_ready else ([], [write]))
        await ours.end([write], rows=[1])


@pytest.mark.anyio
async def test_a_row_that_was_unchanged_before_an_earlier_row_of_its_record_was_written():
    """A row is looked up again if an earlier row of the run wrote its record after the look-up."""
    first, second = (Write(id=one, row=one, body=CheckedRow()) for one in (1, 2))
    plan = Plan(kind="update", body={}, record_id="7", is_new=False)
    unchanged = (second, RowResult(outcome=Outcome.UNCHANGED, record_id="7"))
    held = held_by(None, "a")
    assert await held.claim_records([(first, plan)], let_go=0) == ([(first, plan)], [])
    before = held.let_go
    await held.end([first], rows=[1])
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
    await held.end([first], rows=[1])
    assert await held.claim_records([unchanged], let_go=held.let_go) == ([], [third])
    if end == "written":
        assert await held.claim_records(plans[1:2], let_go=held.let_go) == (plans[1:2], [])
        assert await held.claim_records([unchanged], let_go=held.let_go) == ([], [third])
    else:
        refused = (second, RowResult(outcome=Outcome.REFUSED))
        assert await held.claim_records([refused], let_go=held.let_go) == ([refused], [])
    await held.end([second], rows=[2])
    assert await held.claim_records([unchanged], let_go=held.let_go) == ([unchanged], [])


@pytest.mark.anyio
async def test_a_lost_write_waits_for_its_key_without_its_record(clock):
    """A run that was continued lets another one have the record with the key: they do not wait for each other."""
    write = Write(id=1, row=1, body=CheckedRow(), record_id="7", intent=Intent())
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
