"""Providers of a user's own."""

import dataclasses
import inspect
import math
import re
from pathlib import Path

import attrs
import msgspec
import pytest
from auth_tools import HOST, NotingStore, OwnProvider, connect, make_sandbox, total

from carecloud_async import (
    AuthenticationError,
    AuthProvider,
    CareCloud,
    ConfigurationError,
    FileTokenStore,
    Token,
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


def documented_example():
    blocks = re.findall(r"```python\n(.*?)```", inspect.getdoc(AuthProvider), re.DOTALL)
    space = {"Vault": Vault, "__name__": "example"}
    exec(next(block for block in blocks if "class VaultUser" in block), space)
    return space["VaultUser"]


async def test_the_documented_vault_provider_works_as_printed():
    """The docs' vault provider logs in, is not asked again after a refusal, and uses a rotated password at once."""
    sandbox = make_sandbox()
    vault = Vault("old-secret")
    provider = documented_example()(vault, "crm/prod")
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
    token = sandbox.user_tokens.issue("u", lifetime=1e6, reuse_margin=None).value
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
    token = sandbox.user_tokens.issue("u", lifetime=1e6, reuse_margin=None).value
    for auth in (sandbox.credentials(), session, OwnProvider(Token(token))):
        async with connect(sandbox, auth=auth, token_store=store) as client:
            await client.login()
    assert len(store.keys) == 3
    for key in store.keys:
        assert re.fullmatch(r"[0-9a-f]{32}:(enterprise|customer):[0-9a-f]{32}:[0-9a-f]{32}", key)


def test_the_documented_example_is_the_one_that_type_checkers_see():
    """`tests/typing/auth_provider.py` holds the docstring's class, line by line."""
    checked = (Path(__file__).parents[1] / "typing" / "auth_provider.py").read_text()
    blocks = re.findall(r"```python\n(.*?)```", inspect.getdoc(AuthProvider), re.DOTALL)
    example = next(block for block in blocks if "class VaultUser" in block)
    lines = [line for line in example.splitlines() if line.strip() and "import" not in line]
    assert [line for line in lines if line not in checked.splitlines()] == []
