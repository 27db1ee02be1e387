"""Users' own code in a login: providers, stores, callables, their failures, and mistakes in settings."""

import contextlib
import dataclasses
import gc
import inspect
import math
import re
import tracemalloc
from pathlib import Path

import anyio
import attrs
import httpx
import httpx2
import msgspec
import pytest
from attrs import evolve
from auth_tools import HOST, NotingStore, OwnProvider, connect, credentials, in_parallel, make_sandbox, total

from carecloud_async import (
    AuthenticationError,
    AuthProvider,
    CareCloud,
    CareCloudError,
    ConfigurationError,
    CustomerSession,
    Device,
    DeviceToken,
    FileTokenStore,
    RequestTimeoutError,
    SocialNetworkSession,
    Token,
    TransportError,
)
from carecloud_async.sandbox.constants import USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD

pytestmark = pytest.mark.anyio


class Vault:
    def __init__(self, password):
        self.password = password
        self.reads = 0

    async def read(self, path):
        self.reads += 1
        return {"application": USER_APPLICATION_ID, "login": USER_LOGIN, "password": self.password}


BLOCKS = re.findall(r"```python\n(.*?)```", inspect.getdoc(AuthProvider), re.DOTALL)
EXAMPLE = next(block for block in BLOCKS if "class VaultUser" in block)


async def test_the_documented_vault_provider_works_as_printed():
    """The docs' vault provider logs in, is not asked again after a refusal, and uses a rotated password at once."""
    sandbox = make_sandbox()
    vault = Vault("old-secret")
    space = {"Vault": Vault, "__name__": "example"}
    exec(EXAMPLE, space)
    provider = space["VaultUser"](vault, "crm/prod")
    async with connect(sandbox, auth=provider) as client:
        for _ in range(3):
            with pytest.raises(AuthenticationError):
                await total(client)
        assert sandbox.logins == 1
        vault.password = USER_PASSWORD
        assert await total(client) == 5
        reads = vault.reads
        await total(client)
        assert vault.reads == reads
    assert sandbox.logins == 2
    assert "old-secret" not in repr(provider)


@dataclasses.dataclass(frozen=True)
class WithDataclass(AuthProvider):
    token: str

    @property
    def interface(self):
        return "enterprise"

    @property
    def identity_key(self):
        return "dataclass"

    async def obtain(self, send, previous):
        return Token(self.token)


@pytest.mark.parametrize("kind", [lambda token: OwnProvider(Token(token)), WithDataclass], ids=["plain", "dataclass"])
async def test_a_subclass_may_be_of_any_kind(kind):
    """Plain class and dataclass; as the client's own and as a view; logging out forgets the token."""
    sandbox = make_sandbox()
    token = sandbox.user_tokens.issue("u", lifetime=1e6).value
    async with connect(sandbox, auth=kind(token)) as client:
        assert await total(client) == 5
        assert await total(client.acting_as(kind(token))) == 5
        await client.logout()
        assert await total(client) == 5
    assert sandbox.logins == 0


def test_object_that_is_not_a_provider_is_refused():
    """A class instead of an object, or an unknown interface, is a ConfigurationError."""

    class Wrong(OwnProvider):
        interface = "both"

    for auth in (OwnProvider, Wrong(Token("t")), object()):
        with pytest.raises(ConfigurationError):
            CareCloud(HOST, auth=auth)


@pytest.mark.parametrize(("life", "logins"), [(100.0, 1), (0.5, 2), (math.nan, 2)])
async def test_a_stored_token_that_hardly_lasts_is_not_used(life, logins):
    """A stored token is not used if it ends within seconds, or if the user's own store does not give its lifetime."""

    class Lasting(NotingStore):
        async def load(self, key):
            loaded = await super().load(key)
            return loaded and attrs.evolve(loaded, expires_in=life)

    sandbox, store = make_sandbox(), Lasting()
    for _ in range(2):
        async with connect(sandbox, token_store=store) as client:
            await total(client)
    assert sandbox.logins == logins


@pytest.mark.parametrize("name", ["device", "credentials"])
async def test_a_store_of_a_users_own_is_given_plain_text(name):
    """A user's own store gets plain `str`, not a subclass, which msgspec refuses to encode."""
    given = []

    class Encoding(NotingStore):
        async def save(self, key, token):
            given.extend([key, token.value])
            await super().save(key, token)

        async def discard(self, key, value):
            given.extend([key, value])
            await super().discard(key, value)

    sandbox = make_sandbox()
    auth = sandbox.device("kiosk") if name == "device" else sandbox.credentials()
    async with connect(sandbox, auth=auth, token_store=Encoding()) as client:
        token = (await client.login()).token_id
        await client.logout()
    assert given == [given[0], token] * 2
    assert msgspec.json.encode(given)


async def test_keys_of_stores_hold_digests_only(tmp_path):
    """Neither address, application, login, e-mail nor secret is readable in a key, whatever a provider names itself."""
    sandbox = make_sandbox()
    store = NotingStore(FileTokenStore(tmp_path / "tokens.json"))
    session = sandbox.customer_session(0, "device-of-john@example.com")
    token = sandbox.user_tokens.issue("u", lifetime=1e6).value
    for auth in (sandbox.credentials(), session, OwnProvider(Token(token))):
        async with connect(sandbox, auth=auth, token_store=store) as client:
            await client.login()
    assert len(store.keys) == 3
    for key in store.keys:
        assert re.fullmatch(r"[0-9a-f]{32}:(enterprise|customer):[0-9a-f]{32}:[0-9a-f]{32}", key)


def test_the_documented_example_is_the_one_that_type_checkers_see():
    """`tests/typing/auth_provider.py` holds the docstring's class, line by line."""
    checked = (Path(__file__).parents[1] / "typing" / "auth_provider.py").read_text()
    lines = [line for line in EXAMPLE.splitlines() if line.strip() and "import" not in line]
    assert [line for line in lines if line not in checked.splitlines()] == []


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
            with (
                anyio.fail_after(60),
                pytest.raises(RequestTimeoutError, match="no token in time, the login") as caught,
            ):
                await call()
            assert "the log has the attempts of the login" in str(caught.value)


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
