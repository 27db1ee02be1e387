"""A time of day that steps: nothing is sent twice, and nothing waits for the length of the step."""

import anyio
import anyio.lowlevel
import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import (
    SOURCE,
    StopError,
    UptimeClock,
    claim_of_a_killed_run,
    counts,
    people,
    stop_while_it_waits,
)

from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio


class SteppingClock(FakeClock):
    """A clock whose time of day may step, as when it is set."""

    stepped = 0.0

    def time(self):
        return super().time() + self.stepped


@pytest.fixture
def clock():
    return SteppingClock()


@pytest.mark.parametrize("step", [7200.0, -7200.0])
@pytest.mark.parametrize("by_writer", [False, True])
async def test_a_step_while_an_answer_is_lost(clock, step, by_writer):
    """Steps of the wall clock do not change how long a row whose answer was lost waits."""
    server = CustomerServer(clock)
    server.writes = [20.0]

    async def arrived(request):
        clock.stepped = step if server.sent else 0.0

    server.arrived = arrived
    began = clock.monotonic()
    async with client_of(server, clock) as client:
        if by_writer:
            async with client.customers.bulk_writer(match="email", defaults=SOURCE) as writer:
                assert (await writer.write(people(1)[0])).outcome == "created"
        else:
            assert counts(await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)) == {
                "created": 1
            }
    assert clock.monotonic() - began < 130  # a server that steps back has not done it by then
    clock.advance(100)
    server.work_late()
    assert len(server.customers) == 1


@pytest.mark.parametrize("step", [7200.0, -7200.0])
async def test_a_step_after_a_run_was_killed(clock, step):
    """Keys of a killed run are free when the settle time has passed, though the time of day stepped either way."""
    server = CustomerServer(clock)
    async with client_of(server, clock) as client:
        with claim_of_a_killed_run(client, clock):
            began = clock.monotonic()
            clock.stepped = step
            report = await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)
    assert counts(report) == {"created": 1}
    assert 30 + 60 < clock.monotonic() - began < 60 + 60  # and it is confirmed: the killed run may have made it too


@pytest.mark.parametrize("lost_by", ["another run", "this run"])
async def test_a_monotonic_clock_that_began_again(tmp_path, lost_by):
    """After a reboot that has no id (macOS, Windows), nothing waits for as long as the machine was up before."""
    clock = UptimeClock(500_000.0)
    server, arguments = CustomerServer(clock), {"match": "email", "defaults": SOURCE, "journal": tmp_path / "journal"}
    async with client_of(server, clock) as client:
        if lost_by == "another run":
            with claim_of_a_killed_run(client, clock):
                pass
        else:
            server.writes = ["after"]
            with pytest.raises(StopError):
                await client.customers.bulk_write(people(1), on_progress=stop_while_it_waits, **arguments)
        clock.uptime = 0.0
        before = clock.monotonic()
        report = await client.customers.bulk_write(people(1), resume=True, **arguments)
    assert counts(report) == {"created": 1}
    assert clock.monotonic() - before < 130
    assert len(server.customers) == 1


@pytest.mark.parametrize("step", [7200.0, -7200.0])
async def test_a_step_while_another_run_holds_the_key(clock, step):
    """A key that another run writes is waited for and looked up after it, though the time of day stepped meanwhile."""
    server, outcomes, began = CustomerServer(clock), {}, anyio.Event()

    async def arrived(request):
        if request.method == "POST" and request.url.path.endswith("/customers"):
            clock.stepped = step
            began.set()
            for _ in range(50):  # the other run looks whether the key is free meanwhile
                await anyio.lowlevel.checkpoint()

    async with client_of(server, clock) as client, anyio.create_task_group() as tasks:
        server.arrived = arrived

        async def run(name, row):
            outcomes[name] = counts(await client.customers.bulk_write([row], match="email", defaults=SOURCE))

        row = people(1)[0]
        tasks.start_soon(run, "first", row)
        await began.wait()
        tasks.start_soon(run, "second", {**row, "last_name": "Second"})
    assert outcomes == {"first": {"created": 1}, "second": {"updated": 1}}
    assert len(server.customers) == 1
