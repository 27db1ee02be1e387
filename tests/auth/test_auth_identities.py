"""Thousands of identities on one client."""

import gc
import tracemalloc

import pytest
from attrs import evolve
from auth_tools import LOGIN, connect, credentials, make_sandbox, me

from carecloud_async import AuthenticationError, CareCloudError, ConfigurationError, CustomerSession, FileTokenStore

pytestmark = pytest.mark.anyio


CUSTOMER_LOGIN = "POST /tokens/{token_id}/actions/login"


def random_session(sandbox, number):
    session = sandbox.customer_session(number)
    return evolve(session, device=evolve(session.device, device=evolve(session.device.device, device_id=None)))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_thousands_of_sessions_cost_kilobytes():
    """Views in use cost a few kB each, and of those that are not the last thousand managers are all that is kept."""
    number = 4000
    async with connect(make_sandbox(), auth=make_sandbox().device()) as portal:
        portal.acting_as(CustomerSession.resume(token_id="first"))  # what all share is made now
        tracemalloc.start()
        try:
            views = [portal.acting_as(CustomerSession.resume(token_id=f"token{each}")) for each in range(number)]
            held, _ = tracemalloc.get_traced_memory()
            views.clear()
            gc.collect()
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert held / number < 8_000
    assert kept < 1024 * 3_000


async def test_an_idle_identity_that_was_let_go_comes_back_from_the_store():
    """Beyond `max_sessions`, an idle session whose tokens are stored costs no login."""
    sandbox = make_sandbox()
    sessions = [sandbox.customer_session(number, f"phone{number}") for number in range(4)]
    async with connect(sandbox, auth=sandbox.device(), max_sessions=2) as portal:
        first = [await me(portal.acting_as(session)) for session in sessions]
        again = [await me(portal.acting_as(session)) for session in sessions]
    assert first == again
    assert sandbox.count("POST /tokens") == 4


@pytest.mark.parametrize(("max_sessions", "logins"), [(3, 3), (2, 6)], ids=["within", "beyond"])
async def test_sessions_that_are_not_stored_keep_their_tokens_up_to_the_setting(max_sessions, logins):
    """Three sessions on random devices log in once if `max_sessions` holds all three."""
    sandbox = make_sandbox()
    sessions = [random_session(sandbox, number) for number in range(3)]
    async with connect(sandbox, auth=sandbox.device(), max_sessions=max_sessions) as portal:
        for _ in range(2):
            for session in sessions:
                await me(portal.acting_as(session))
    assert sandbox.count(CUSTOMER_LOGIN) == logins


async def test_the_clients_own_device_is_not_for_sessions():
    """The device of the client's `auth` serves no customer."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.device("kiosk")) as portal:
        with pytest.raises(ConfigurationError, match="device"):
            portal.acting_as(sandbox.customer_session(0, "kiosk"))
        await portal.logout()
        with pytest.raises(ConfigurationError, match="device"):
            portal.acting_as(sandbox.customer_session(0, "kiosk"))


class UnhashableVault:
    """Compared by its content, as a mutable attrs class is."""

    __hash__ = None

    def __init__(self, password):
        self.password = password

    def __eq__(self, other):
        return self.password == other.password

    def __call__(self):
        return self.password


def right_password():
    return make_sandbox().credentials().password


@pytest.mark.parametrize(
    "wrong", [lambda: "guess", UnhashableVault("guess"), "guess"], ids=["function", "object", "text"]
)
@pytest.mark.parametrize("right", [right_password, right_password()], ids=["fetched", "text"])
async def test_a_fetched_password_is_checked_before_a_token_is_shared(tmp_path, right, wrong):
    """Of two users with one login name, the one with another password logs in: in one client, and with one store."""
    sandbox = make_sandbox()
    store = FileTokenStore(tmp_path / "tokens.json")
    async with connect(sandbox, auth=credentials(right), token_store=store) as client:
        await client.ping()
        await client.acting_as(credentials(right)).ping()
        with pytest.raises(AuthenticationError):
            await client.acting_as(credentials(wrong)).ping()
    async with connect(sandbox, auth=credentials(wrong), token_store=store) as client:
        with pytest.raises(AuthenticationError):
            await client.ping()
    assert sandbox.count(LOGIN) == 3
    async with connect(sandbox, auth=credentials(lambda: right_password()), token_store=store) as client:
        await client.ping()
    assert sandbox.count(LOGIN) == 3


async def test_a_stored_token_is_not_used_without_the_password(tmp_path):
    """If fetching the password fails, a process that starts does not take the stored token: the failure is raised."""
    sandbox = make_sandbox()
    store = FileTokenStore(tmp_path / "tokens.json")
    async with connect(sandbox, auth=credentials(right_password), token_store=store) as client:
        await client.ping()

    def sealed():
        raise ConnectionRefusedError(111, "vault")

    async with connect(sandbox, auth=credentials(sealed), token_store=store) as client:
        with pytest.raises(CareCloudError, match="fetches its credentials"):
            await client.ping()
    assert sandbox.count(LOGIN) == 1


async def test_a_token_is_not_stored_without_the_password_that_protects_it(tmp_path):
    """If fetching the password fails after a login, the token serves this process and is not stored."""
    sandbox = make_sandbox()
    store = FileTokenStore(tmp_path / "tokens.json")
    fetched = iter([right_password()])
    async with connect(sandbox, auth=credentials(lambda: next(fetched)), token_store=store) as client:
        await client.ping()
        await client.ping()
    async with connect(sandbox, auth=credentials(right_password), token_store=store) as client:
        await client.ping()
    assert sandbox.count(LOGIN) == 2
