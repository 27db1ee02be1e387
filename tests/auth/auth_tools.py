"""What the tests of tokens share: a clock to set, a way to connect, a provider that counts."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.lowlevel
import kit
import pytest

from carecloud_async import (
    AuthProvider,
    CareCloudError,
    EnterpriseCredentials,
    MemoryTokenStore,
    RetryPolicy,
    SocialNetworkSession,
    SsoCredentials,
    Token,
    TokenStore,
    TokenStoreError,
)
from carecloud_async.sandbox import SOCIAL_NETWORK_IDS, SOCIAL_TOKEN_PREFIX, SSO_TOKEN, USER_APPLICATION_ID, Sandbox

HOST = "sandbox.crmcarecloud.com"
LOGIN = "POST /users/actions/login"
#: Mid-June: no clock change anywhere near.
START = 1_781_500_000.0


class FakeClock:
    """A test moves the true time; the host's wall clock may be wrong by `skew` seconds."""

    def __init__(self, start=START, skew=0.0):
        self.passed = 0.0
        self.start = start
        self.skew = skew

    def monotonic(self):
        return 50.0 + self.passed

    def time(self):
        return self.true_time() + self.skew

    def true_time(self):
        return self.start + self.passed

    async def sleep(self, seconds):
        self.passed += seconds
        await anyio.lowlevel.checkpoint()


def sso_credentials():
    """The sandbox's user, by single sign-on."""
    return SsoCredentials(external_application_id=USER_APPLICATION_ID, sso_token=SSO_TOKEN)


def social_session(sandbox, index=0):
    """A customer of the sandbox, by a social network."""
    token = SOCIAL_TOKEN_PREFIX + sandbox.customers.id_at(index)
    network = SOCIAL_NETWORK_IDS[0]
    return SocialNetworkSession(sandbox.device(), social_network_id=network, social_network_token=token)


def make_sandbox(clock=None, **more):
    more.setdefault("customers", 5)
    if clock is not None:
        more["clock"] = clock.true_time
    return Sandbox(**more)


def slow_sandbox(clock=None, **more):
    """A sandbox whose answers take a moment, so that calls made at once are under way together."""
    return make_sandbox(clock, latency=0.003, **more)


connect = partial(kit.connect, rate_limit=None)


def credentials(password):
    known = Sandbox(customers=1).credentials()
    return EnterpriseCredentials(
        external_application_id=known.external_application_id, login=known.login, password=password
    )


def once():
    """A policy that repeats nothing."""
    return RetryPolicy(attempts=1)


async def total(client):
    return await client.customers.list().total()


async def me(client):
    return (await client.customers.me()).customer_id


async def touch(client):
    """Make a call that a device may make with no customer logged in, and that needs its token."""
    await client.tokens.send_password_setup_email(email="x@example.com")


def hold(sandbox, name=LOGIN):
    """Let the requests of an operation wait at a sandbox until the event that is returned is set."""
    gate = anyio.Event()

    async def wait(request):
        if request.name == name:
            await gate.wait()

    sandbox.on_request = wait
    return gate


def kept_by(store):
    """How many records a `MemoryTokenStore` keeps, as it says itself."""
    return int(re.fullmatch(r"<MemoryTokenStore: (\d+) records>", repr(store))[1])


async def in_parallel(number, work):
    """Run `work` that many times at once; return the results, errors among them."""
    results = []

    async def run():
        try:
            results.append(await work())
        except Exception as error:  # noqa: BLE001  (the tests look at it)
            results.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(run)
    return results


async def frames_of(work, kind=CareCloudError):
    """Return the local variables of our frames in the traceback of an error, as error reporters print them."""
    with pytest.raises(kind) as caught:
        await work()
    shown = "\n".join(kit.variables_of(caught.value))
    assert len(shown) > 500
    return shown


def failures(results):
    return [result for result in results if isinstance(result, BaseException)]


class NotingStore(TokenStore):
    """A store around another one; it notes what it is asked for, and each key.

    Args:
        inner: the other store; in memory if left out.
        failing: the names of methods that fail.
    """

    def __init__(self, inner=None, *, failing=()):
        self.inner = inner or MemoryTokenStore()
        self.shared = self.inner.shared
        self.failing = set(failing)
        self.asked, self.keys = [], set()

    def ask(self, name, key):
        self.asked.append(name)
        self.keys.add(key)
        if name in self.failing:
            raise TokenStoreError("no response within 5 s")

    async def load(self, key):
        self.ask("load", key)
        return await self.inner.load(key)

    async def save(self, key, token):
        self.ask("save", key)
        await self.inner.save(key, token)

    async def discard(self, key, value):
        self.ask("discard", key)
        await self.inner.discard(key, value)

    @asynccontextmanager
    async def lock(self, key):
        self.ask("lock", key)
        async with self.inner.lock(key):
            yield


class OwnProvider(AuthProvider):
    """A provider of a user's own: a plain class that returns the answers it was given."""

    interface = "enterprise"
    identity_key = "someone@example.com"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    async def obtain(self, send, previous):
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, Token) else await answer(send, previous)
