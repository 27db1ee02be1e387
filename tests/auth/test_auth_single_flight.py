"""Callers that need a login share one, whatever happens to any of them."""

import asyncio
from functools import partial

import anyio
import pytest
from auth_tools import (
    LOGIN,
    FakeClock,
    OwnProvider,
    connect,
    credentials,
    failures,
    hold,
    in_parallel,
    make_sandbox,
    once,
    slow_sandbox,
    total,
)
from thorough import is_thorough

from carecloud_async import AuthenticationError, ConfigurationError, MemoryTokenStore, ResponseError, ServerError, Token

pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
CROWD = 100
#: Between two moments of a cancellation that are tried.
STRIDE = 1 if is_thorough() else 3


@pytest.mark.parametrize("token", ["none", "revoked", "expired"])
async def test_a_hundred_callers_make_one_login(token):
    """Without a token, or with one that has ended by the clock or at the server, one logs in and all are served."""
    clock = FakeClock()
    sandbox = slow_sandbox(clock)
    async with connect(sandbox, clock=clock) as client:
        if token != "none":
            await total(client)
        if token == "revoked":
            sandbox.revoke_all()
        clock.passed += 8 * 3600 if token == "expired" else 0
        sandbox.forget_requests()
        assert not failures(await in_parallel(CROWD, partial(total, client)))
    assert sandbox.logins == 1
    assert sandbox.count("GET /customers") == CROWD + sandbox.statuses[401]
    assert token == "revoked" or not sandbox.statuses[401]


@pytest.mark.parametrize("who", ["leader", "waiter"])
async def test_one_cancelled_caller_cancels_no_other(who):
    """The leader's place is taken by a waiter; a waiter's leaving is not noticed."""
    sandbox = slow_sandbox()
    gate = hold(sandbox)
    served = []
    async with connect(sandbox) as client:

        async def caller(scope):
            with scope:
                served.append(await total(client))

        scopes = [anyio.CancelScope() for _ in range(50)]
        async with anyio.create_task_group() as tasks:
            for scope in scopes:
                tasks.start_soon(caller, scope)
                await anyio.wait_all_tasks_blocked()  # trio starts tasks in any order; the first one leads
            scopes[0 if who == "leader" else 20].cancel()
            await anyio.wait_all_tasks_blocked()
            gate.set()
    assert len(served) == 49
    assert sandbox.logins == (2 if who == "leader" else 1)


async def test_refused_credentials_are_remembered_and_then_probed_once():
    """30 s, doubling to 15 minutes; at each end one login for the whole crowd."""
    clock = FakeClock()
    sandbox = slow_sandbox(clock)
    async with connect(sandbox, clock=clock, auth=credentials("wrong-horse")) as client:
        for number, pause in enumerate([30, 60, 120, 240, 480, 900, 900], start=1):
            assert len(failures(await in_parallel(20, partial(total, client)))) == 20
            assert sandbox.logins == number
            clock.passed += pause - 1
            assert len(failures(await in_parallel(20, partial(total, client)))) == 20
            assert sandbox.logins == number
            clock.passed += 1.5


@pytest.mark.parametrize(
    ("fault", "kind"),
    [({"status": 500}, ServerError), ({"status": 403, "html": True}, ResponseError), ({"html": True}, ResponseError)],
)
async def test_a_failure_of_the_server_is_not_remembered(fault, kind):
    """A 5xx at the login, or a page that CareCloud did not write, reaches each waiter; the next call logs in again."""
    sandbox = slow_sandbox()
    sandbox.faults.add(LOGIN, times=1, **fault)
    async with connect(sandbox, retry=once()) as client:
        errors = failures(await in_parallel(20, partial(total, client)))
        assert {type(error) for error in errors} == {kind}
        assert sandbox.logins == 1
        assert not failures(await in_parallel(20, partial(total, client)))
    assert sandbox.logins == 2


async def test_a_user_exception_comes_out_as_itself():
    """What a provider raises reaches each waiter unwrapped, and the next call tries again."""

    class VaultSealedError(Exception):
        pass

    sandbox = slow_sandbox()
    good = sandbox.user_tokens.issue("u", lifetime=1e6).value
    provider = OwnProvider(VaultSealedError("sealed"), Token(good, expires_in=3600))
    async with connect(sandbox, auth=provider) as client:
        errors = failures(await in_parallel(10, partial(total, client)))
        assert [type(error) for error in errors] == [VaultSealedError] * 10
        assert provider.asked == 1
        assert not failures(await in_parallel(10, partial(total, client)))
    assert provider.asked == 2


async def test_a_fingerprint_that_fails_leaves_the_refusal_standing():
    """A provider whose `credentials_fingerprint` raises is not asked to log in again and again."""

    class Broken(OwnProvider):
        async def credentials_fingerprint(self):
            raise RuntimeError("no vault")

    provider = Broken(AuthenticationError(status=401, method="POST", path="/users/actions/login"))
    async with connect(make_sandbox(), auth=provider) as client:
        assert len(failures([*await in_parallel(2, partial(total, client)), *await in_parallel(2, client.ping)])) == 4
    assert provider.asked == 1


async def test_a_provider_must_return_a_token():
    """Anything else is said to be wrong, by the class's name."""

    async def text(send, previous):
        return "token"

    async with connect(slow_sandbox(), auth=OwnProvider(text)) as client:
        with pytest.raises(ConfigurationError, match="OwnProvider"):
            await total(client)


async def dawdle(request):
    for _ in range(3):
        await anyio.lowlevel.checkpoint()


async def test_cancellation_at_every_await_leaves_nothing_stuck():
    """Cancelled after any number of steps, a first call leaves a client that works."""
    for step in range(0, 200, STRIDE):
        sandbox = make_sandbox()
        sandbox.on_request = dawdle
        async with connect(sandbox) as client:
            done = False
            async with anyio.create_task_group() as tasks:

                async def call(tasks=tasks, client=client):
                    nonlocal done
                    await total(client)
                    done = True
                    tasks.cancel_scope.cancel()

                tasks.start_soon(call)
                for _ in range(step):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            with anyio.fail_after(60):
                await total(client)
            assert sandbox.logins <= 2
            if done:
                break
    else:
        pytest.fail("the call never came to its end")


async def test_login_checks_at_the_server_and_joins_only_logins():
    """`login()` logs in although a token is at hand; fifty at once make one login, and share its refusal."""
    sandbox = slow_sandbox()
    async with connect(sandbox) as client:
        await total(client)
        await client.login()
        assert sandbox.logins == 2
        await in_parallel(50, client.login)
        assert sandbox.logins == 3
        sandbox.set_password("another")
        errors = failures(await in_parallel(50, client.login))
        assert len(errors) == 50
        assert len({id(error) for error in errors}) == 50
        assert sandbox.logins == 4
        await total(client)  # the token at hand is still good
    assert sandbox.logins == 4


@on_asyncio
async def test_asyncios_own_cancellation_at_every_await():
    """`Task.cancel()` knows no shields: at whatever moment, nothing is stuck, and at most one token was lost."""
    done, step = False, 0
    while not done:
        sandbox = make_sandbox()
        sandbox.on_request = dawdle
        async with connect(sandbox, auth=sandbox.customer_session(0)) as client:
            task = asyncio.create_task(client.customers.me())
            for _ in range(step):
                await asyncio.sleep(0)
            done = task.done()
            task.cancel()
            await asyncio.wait([task])
            async with asyncio.timeout(60):
                await client.customers.me()
            assert sandbox.count("POST /tokens") <= 2
            assert sandbox.statuses[401] == 0
        step += STRIDE


@on_asyncio
@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_token_that_is_being_saved_survives_task_cancel(cancels):
    """`Task.cancel()` while a fresh token is saved, once or again, loses no login: the next caller finds the token."""
    saving, go_on = asyncio.Event(), asyncio.Event()

    class SlowStore(MemoryTokenStore):
        async def save(self, key, token):
            saving.set()
            await go_on.wait()
            await super().save(key, token)

    sandbox = make_sandbox()
    async with connect(sandbox, token_store=SlowStore()) as client:
        task = asyncio.create_task(client.customers.list().total())
        await saving.wait()
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.customers.list().total()
    assert sandbox.logins == 1
