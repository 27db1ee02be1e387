"""The plugin in this suite, where the installed package brings it."""

from importlib.metadata import entry_points

import pytest

from carecloud_async import RateLimitError, SessionExpiredError
from carecloud_async._calls.call.retry import RetryPolicy

if not any(point.value == "carecloud_async.pytest_plugin" for point in entry_points(group="pytest11")):
    pytest.skip("this package is not installed", allow_module_level=True)

pytestmark = [pytest.mark.anyio, pytest.mark.carecloud_sandbox(customers=12)]


@pytest.mark.carecloud_fault("GET /customers", status=429, retry_after=30)
async def test_a_limited_project(carecloud_client, carecloud_sandbox, carecloud_clock, carecloud_calls):
    """A fault by mark applies, waiting takes no real time, and sandbox and client agree on the calls."""
    assert await carecloud_client.customers.list().total() == 12
    assert carecloud_sandbox.count("GET /customers") == 2
    assert carecloud_clock.sleeps == [pytest.approx(30, abs=10)]
    assert [(call.path, call.attempts, call.status) for call in carecloud_calls][-1] == ("/customers", 2, 200)


@pytest.mark.carecloud_fault("GET /customers", status=429)
async def test_options_of_further_clients(carecloud_connect, carecloud_sandbox):
    """Options of a test override those of the fixture."""
    client = carecloud_connect(retry=RetryPolicy(attempts=1))
    with pytest.raises(RateLimitError):
        await client.customers.list().total()
    portal = carecloud_connect(auth=carecloud_sandbox.device())
    mine = portal.acting_as(carecloud_sandbox.customer_session(2))
    state = await mine.login()
    again = carecloud_connect(auth=type(carecloud_sandbox.customer_session()).resume(token_id=state.token_id))
    carecloud_sandbox.revoke(state.token_id)
    with pytest.raises(SessionExpiredError):
        await again.customers.me()


@pytest.mark.carecloud_sandbox(customers=3)
async def test_the_nearest_mark_wins(carecloud_client):
    """A mark on the test goes before the file's."""
    assert await carecloud_client.customers.list().total() == 3
