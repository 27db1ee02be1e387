"""Claims: two runs never write one key at the same time, however the runs end."""

import asyncio
import os
import subprocess
import sys
import threading
from collections import Counter

import anyio
import anyio.lowlevel
import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, UptimeClock, claims_of, held_by, people
from disks import watch_databases

from carecloud_async._base.runs import Database
from carecloud_async._base.runtime.clock import SystemClock
from carecloud_async._base.runtime.user_folders import state_folder
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import CheckedRow, Intent, Write
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
        await held.end([(write, RowResult(outcome=Outcome.UPDATED))], rows=[1])
        ((ready,), _others) = await held.claim([write])
        assert not ready.is_doubted


@pytest.mark.anyio
@pytest.mark.parametrize("was_taken", [True, False])
async def test_a_run_that_goes_on_knows_which_keys_others_had_meanwhile(clock, was_taken):
    """A row that was sent as new, and whose key another run had since, is no longer known to have been absent."""
    write = Write(id=1, row=1, key="a", body=CheckedRow(key=("a",)), intent=Intent(was_absent=True))
    with claims_of(clock) as first:
        first.claim(["a"])
    clock.advance(35)
    if was_taken:
        with claims_of(clock) as other:
            other.claim(["a"])
            other.release(["a"])
    with claims_of(clock) as second:
        second.adopt(first.owner)
        found = await held_by(second, "a").let_go_since_sent([write])
        assert [one.intent.was_absent for one in found] == [False] * was_taken
        await held_by(second, "a").claim([write])
    with claims_of(clock) as third:
        third.adopt(second.owner)
        assert not await held_by(third, "a").let_go_since_sent([write])  # so the journal has to know it by now


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


def test_a_run_that_goes_on_holds_no_key_that_it_does_not_work_on(clock):
    """A key of doubt that a stopped run had claimed is free for another run while the stopped one is continued."""
    with claims_of(clock) as first:
        first.claim(["a"])
    clock.advance(35)
    with claims_of(clock) as second:
        second.claim(["a"])
    with claims_of(clock) as third, claims_of(clock) as other:
        third.adopt(second.owner)
        third.keep_only(())
        found = other.claim(["a"])
    assert (found.busy, found.doubted) == (set(), {"a"})


def test_a_record_that_a_stopped_run_wrote_is_read_again(clock):
    """The run that goes on lets go of the record with the time: who has read it before then reads it once more."""
    with claims_of(clock) as stopped:
        stopped.claim(["record"])
    clock.advance(5)
    with claims_of(clock) as claims, claims_of(clock) as other:
        claims.adopt(stopped.owner)
        claims.release_all()
        found = other.claim(["record"])
    assert (found.busy, found.doubted, found.free_since) == (set(), set(), {"record": clock.monotonic()})


@pytest.mark.anyio
async def test_a_lost_write_that_took_effect_lets_go_of_its_record(clock):
    """The record that a stopped run was writing is free when the run that goes on finds it written."""
    write = Write(id=1, row=1, key="a", body=CheckedRow(key=("a",)), intent=Intent(record_id="7"))
    with claims_of(clock) as stopped:
        stopped.claim(["a", "record 7"])
    with claims_of(clock) as claims, claims_of(clock) as other:
        claims.adopt(stopped.owner)
        held = held_by(claims, "a")
        held.hold_lost([write])
        ready, _others = await held.claim([write])
        done = RowResult(outcome=Outcome.UPDATED, record_id="7")
        decided, _others = await held.claim_records([(one, done) for one in ready], let_go=held.let_go)
        assert other.claim(["record 7"]).busy
        await held.end(decided, rows=[1])
        assert not other.claim(["a", "record 7"]).busy


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


def test_the_clock_of_another_host():
    """On a host that was up for longer, what was left on another one a moment ago has not settled yet."""
    with claims_of(UptimeClock(0.0), boot="one") as first:
        first.claim(["a", "b"])
        first.leave(["a"])
    clock = UptimeClock(100_000.0)
    with claims_of(clock, boot="two") as second:
        assert second.claim(["a", "b"]).busy == {"a", "b"}
    clock.advance(35)
    with claims_of(clock, boot="two") as third:
        assert third.claim(["a", "b"]).new == {"a", "b"}


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
        assert report.waited < 65 + 65
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
