"""A time of day that steps: nothing is sent twice, and nothing waits for the length of the step."""

import pytest
from bulk_server import CustomerServer, client_of
from bulk_tools import SOURCE, counts, people

from carecloud_async.bulk.registry import WriteRegistry, registry_folder
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
    """A row whose answer was lost is looked up for the settle time, whatever the time of day says meanwhile."""
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
    assert clock.monotonic() - began < 60
    clock.advance(100)
    server.work_late()
    assert len(server.customers) == 1


@pytest.mark.parametrize("step", [7200.0, -7200.0])
async def test_a_step_after_a_run_was_killed(clock, step):
    """Keys of a killed run are free when the settle time has passed, though the time of day stepped either way."""
    server = CustomerServer(clock)
    registry = WriteRegistry(
        registry_folder(), scope="https://model.example.com customers email", clock=clock, settle_seconds=35.0
    )
    registry.__enter__()
    async with client_of(server, clock) as client:
        scope = f"{client.project.origin} customers email"
        registry._scope = scope
        registry.claim(["new0@example.com"], writes_before=registry.count_writes())
        registry._lock.release()
        began = clock.monotonic()
        clock.stepped = step
        report = await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)
    assert counts(report) == {"created": 1}
    assert 30 < clock.monotonic() - began < 60
    registry.__exit__()


class OtherRunInBetween(CustomerServer):
    """A server whose first look-up is answered, and then something happens before the answer arrives."""

    between = None

    async def handle_async_request(self, request):
        answer = await super().handle_async_request(request)
        if "/customers" in request.url.path and self.between is not None:
            between, self.between = self.between, None
            await between()
        return answer


@pytest.mark.parametrize("step", [7200.0, -7200.0])
async def test_a_step_between_two_runs(clock, step):
    """A key that another run wrote after it was looked up is looked up again, though the time of day stepped."""
    server = OtherRunInBetween(clock)
    async with client_of(server, clock) as client:

        async def between():
            clock.stepped = step
            other = await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)
            assert counts(other) == {"created": 1}

        server.between = between
        report = await client.customers.bulk_write(people(1), match="email", defaults=SOURCE)
    assert counts(report) == {"unchanged": 1}
    assert len(server.customers) == 1
