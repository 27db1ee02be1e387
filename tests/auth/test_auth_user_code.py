"""Users' own code in a login: its failures, its secrets in frames, and its mistakes in settings."""

import contextlib
import gc
import tracemalloc

import anyio
import httpx
import httpx2
import pytest
from attrs import evolve
from auth_tools import connect, credentials, in_parallel, make_sandbox, total

from carecloud_async import (
    AuthenticationError,
    CareCloudError,
    ConfigurationError,
    CustomerSession,
    Device,
    DeviceToken,
    RequestTimeoutError,
    SocialNetworkSession,
    TransportError,
)

pytestmark = pytest.mark.anyio
WRONG = "Planted-Wrong-2"


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("vault"), httpx2.ReadTimeout("vault"), ConnectionRefusedError(111, "vault"), TimeoutError()],
    ids=lambda error: type(error).__name__,
)
async def test_a_failure_of_a_password_callables_own_call_is_reported_as_such(error):
    """A password callable that fails is called once; each waiter's error has the failure as its cause."""
    asked = []

    async def password():
        asked.append(1)
        await anyio.wait_all_tasks_blocked()
        raise error

    sandbox = make_sandbox()
    async with connect(sandbox, auth=credentials(password)) as client:
        for caught in await in_parallel(3, lambda: total(client)):
            assert isinstance(caught, CareCloudError)
            assert not isinstance(caught, TransportError)
            assert caught.__cause__ is error
            assert "EnterpriseCredentials" in str(caught)
            assert type(error).__name__ in str(caught)
    assert len(asked) == 1
    assert not sandbox.requests


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_remembered_refusal_holds_no_frames():
    """A thousand identities whose login was refused keep a few kB each, not the frames of their calls."""
    sandbox = make_sandbox()
    number = 100
    async with connect(sandbox) as client:
        views = [client.acting_as(evolve(sandbox.credentials(), password=f"{WRONG}{n}")) for n in range(number + 1)]
        with pytest.raises(AuthenticationError):
            await total(views.pop())
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for view in views:
                with contextlib.suppress(AuthenticationError):
                    await total(view)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (after - before) / number < 16_000


async def test_a_call_whose_login_hangs_blames_the_login_and_not_the_network():
    """If the time of a call runs out in its login, the error names the login and not the connection, for writes too."""
    sandbox = make_sandbox()
    sandbox.on_request = lambda request: anyio.sleep_forever()
    async with connect(sandbox) as client:
        view = client.with_options(timeout=0.2)
        calls = [view.ping, lambda: view.request("POST", "customers", json={})]
        for call in calls:
            with anyio.fail_after(60), pytest.raises(RequestTimeoutError, match="no token in time, the login"):
                await call()


DEVICE = Device(device_id="d", device_system="s", device_name="n", device_type="t")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: CustomerSession("device-1", login_type="email", login_value="a", password="b"),
            r"device must be a DeviceToken object, not str: write DeviceToken\(external_application_id=",
        ),
        (
            lambda: SocialNetworkSession(DeviceToken, social_network_id="1", social_network_token="t"),
            "must be a DeviceToken object, not the class DeviceToken",
        ),
        (
            lambda: DeviceToken(external_application_id="a", device=DEVICE, setup={"language_id": "cs"}),
            r"must be a DeviceSetup object, not dict: write DeviceSetup\(",
        ),
    ],
    ids=["text", "class", "dict"],
)
def test_a_mistake_in_an_identity_says_what_to_write(make, said):
    """A text, a class or a neighbour in a device's place is a ConfigurationError with the right expression in it."""
    with pytest.raises(ConfigurationError, match=said):
        make()
