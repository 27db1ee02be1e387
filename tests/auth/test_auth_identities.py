"""Thousands of identities on one client."""

import gc
import tracemalloc

import pytest
from auth_tools import connect, make_sandbox

from carecloud_async import ConfigurationError, CustomerSession
from carecloud_async.auth import registry as identities_module

pytestmark = pytest.mark.anyio


async def me(client):
    return (await client.customers.me()).customer_id


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_thousands_of_sessions_cost_kilobytes():
    """Views in use cost a few kB each, and of those that are not the last thousand managers are all that is kept."""
    number = 4000
    async with connect(make_sandbox(), auth=make_sandbox().device()) as portal:
        portal.acting_as(CustomerSession.resume(token_id="first"))  # what all share is made now
        tracemalloc.start()
        try:
            views = [portal.acting_as(CustomerSession.resume(token_id=f"token{one}")) for one in range(number)]
            held, _ = tracemalloc.get_traced_memory()
            views.clear()
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held / number < 8_000
    assert kept < 1024 * 3_000


async def test_equal_identities_share_a_token():
    """Two views of one session log in once; a view made later finds the token."""
    sandbox = make_sandbox()
    session = sandbox.customer_session(0)
    async with connect(sandbox, auth=sandbox.device()) as portal:
        customer = await me(portal.acting_as(session))
        assert await me(portal.acting_as(session)) == customer
    assert sandbox.count("POST /tokens") == 1


async def test_an_idle_identity_that_was_let_go_comes_back_from_the_store(monkeypatch):
    """Forgetting a manager costs no login."""
    monkeypatch.setattr(identities_module, "IDLE_MANAGERS", 2)
    sandbox = make_sandbox()
    sessions = [sandbox.customer_session(number, f"phone{number}") for number in range(4)]
    async with connect(sandbox, auth=sandbox.device()) as portal:
        first = [await me(portal.acting_as(session)) for session in sessions]
        again = [await me(portal.acting_as(session)) for session in sessions]
    assert first == again
    assert sandbox.count("POST /tokens") == 4


async def test_the_clients_own_device_is_not_for_sessions():
    """The device of the client's `auth` serves no customer."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.device("kiosk")) as portal:
        with pytest.raises(ConfigurationError, match="device"):
            portal.acting_as(sandbox.customer_session(0, "kiosk"))
        await portal.logout()
        with pytest.raises(ConfigurationError, match="device"):
            portal.acting_as(sandbox.customer_session(0, "kiosk"))
