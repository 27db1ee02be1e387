"""Claims: two runs never write one key at the same time, however the runs end."""

import asyncio
import os
import threading

import anyio
import anyio.lowlevel
import pytest
from bulk_tools import SOURCE, claim_and_wait, claims_of, people
from disks import watch_databases
from forked_processes import start_piped
from memory_servers import CustomerServer, client_of

from carecloud_async._base.runtime.clock import SystemClock

ROWS = people(1)


class LaterClock(SystemClock):
    """The real clock, ahead by some seconds."""

    ahead = 0.0

    def monotonic(self):
        return super().monotonic() + self.ahead


@pytest.fixture
def claim_elsewhere():
    """Claim keys by a run of another process; return the process, and which of them are busy for it."""
    children = []

    def claim(*keys):
        child, pipe = start_piped(claim_and_wait, os.environ["XDG_STATE_HOME"], *keys)
        children.append((child, pipe))  # it ends with its pipe
        return child, pipe.recv()

    yield claim
    for child, _ in children:
        child.kill()
        child.join()


def test_a_run_that_goes_on_holds_only_what_it_works_on(clock):
    """A key of doubt is free and still in doubt, and a record is free with the time at which it was let go."""
    with claims_of(clock) as first:
        first.claim(["a"])
    clock.advance(35)
    with claims_of(clock) as second:
        assert second.claim(["a", "record"]).doubted == {"a"}
    clock.advance(5)
    with claims_of(clock) as third, claims_of(clock) as other:
        third.adopt(second.owner)
        third.keep_only(())
        found = other.claim(["a", "record"])
    assert (found.busy, found.doubted, found.made) == (set(), {"a"}, set())
    assert found.free_since["record"] == clock.monotonic()


def test_a_run_that_is_killed_leaves_its_keys(claim_elsewhere):
    """The key of a process is busy while it lives, though it does nothing; killed, it is free after the settle time."""
    clock = LaterClock()
    child, busy = claim_elsewhere("a")
    assert not busy
    with claims_of(clock) as claims:
        clock.ahead = 1000.0
        assert claims.claim(["a"]).busy == {"a"}
        child.kill()
        child.join()
        assert claims.claim(["a"]).busy == {"a"}  # its end is noticed now
        clock.ahead += 36.0
        assert not claims.claim(["a"]).busy


def test_a_run_that_ends_takes_no_lock_of_its_process_with_it(claim_elsewhere):
    """A key is busy for other processes after two runs have ended, one of its own process and one of another."""
    with claims_of(SystemClock()) as first:
        first.claim(["a"])
        with claims_of(SystemClock()):
            pass
        assert claim_elsewhere("a")[1] == {"a"}
        first.claim(["b"])
        assert claim_elsewhere("a", "b")[1] == {"a", "b"}


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


@pytest.mark.asyncio
async def test_an_import_that_is_cancelled_again_while_it_ends_is_over(server, clock, monkeypatch, tmp_path):
    """`Task.cancel()` at each step of an import's end: the keys that it leaves are free after the settle time."""
    at, steps = 0, 1
    while at < steps:
        at, steps = at + 1, await steps_of_an_end(clock, monkeypatch, tmp_path / str(at), cancel_at=at)
        server = CustomerServer(clock)
        async with client_of(server, clock) as client:
            with anyio.fail_after(60):
                report = await client.customers.bulk_write(ROWS, match="email", defaults=SOURCE)
        assert report.created == 1
        assert report.waited < 125 + 125
    assert at > 3


async def steps_of_an_end(clock, monkeypatch, folder, *, cancel_at):
    """Cancel an import whose answer is lost while it waits, and again at a statement of its end; count these."""
    folder.mkdir()
    server, steps, loop = CustomerServer(clock), 0, asyncio.get_running_loop()
    server.faults = ["after"]

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
