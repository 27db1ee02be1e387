"""Operations that refuse every token: how many logins they cost."""

import anyio
import pytest
from auth_tools import FakeClock, connect, make_sandbox

from carecloud_async import AuthenticationError, PermissionDeniedError

pytestmark = pytest.mark.anyio


async def total(client):
    return await client.customers.list().total()


async def refuse(client, times=1):
    for _ in range(times):
        with pytest.raises(AuthenticationError):
            await client.customers.list().total()


async def test_a_path_that_always_answers_401_costs_a_user_two_logins():
    """Thirty calls: the first login, one to find out that a new token helps nothing, and no more."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    sandbox.faults.add("GET /customers", status=401, times=None)
    async with connect(sandbox, clock=clock) as client:
        await refuse(client, 30)
        assert sandbox.logins == 2
        assert sandbox.count("GET /customers") == 31


async def test_the_pause_between_logins_for_one_path_grows():
    """An hour of calls to a path that always refuses costs a handful of logins, and less with time."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    sandbox.faults.add("GET /customers", status=401, times=None)
    async with connect(sandbox, clock=clock) as client:
        for _ in range(3600 // 20):
            await refuse(client)
            clock.passed += 20
    assert 4 <= sandbox.logins <= 12


async def test_another_path_still_renews_a_token_that_died():
    """Only the path that refuses everything is held back: others log in again when their token was revoked."""
    sandbox = make_sandbox()
    async with connect(sandbox) as client:
        sandbox.faults.add("GET /customers", status=401, times=None)
        await refuse(client, 3)
        sandbox.revoke_all()
        assert await client.users.list().total() >= 1
        assert sandbox.logins == 3
        await refuse(client, 3)
    assert sandbox.logins == 3


async def test_a_path_that_is_served_again_renews_as_ever():
    """After its first success a 401 is worth a login again."""
    sandbox = make_sandbox()
    async with connect(sandbox) as client:
        fault = sandbox.faults.add("GET /customers", status=401, times=None)
        await refuse(client, 3)
        sandbox.faults.remove(fault)
        await total(client)
        sandbox.revoke_all()
        assert await total(client) == 5
    assert sandbox.logins == 3


async def test_a_second_refusal_in_a_row_is_final():
    """One new token is tried; the error names both possible causes and does not blame the credentials."""
    sandbox = make_sandbox()
    async with connect(sandbox) as client:
        await total(client)
        sandbox.faults.add("GET /customers", status=401, times=None)
        with pytest.raises(AuthenticationError, match="for this operation or because it was revoked") as caught:
            await total(client)
        assert sandbox.count("GET /customers") == 1 + 2
    assert sandbox.logins == 1 + 1
    assert "credentials" not in caught.value.fix.settings


async def test_a_403_renews_no_token():
    """A refusal with 403 is about a right, also of a call that was allowed before: one request, no login."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    async with connect(sandbox, clock=clock) as client:
        await total(client)
        clock.passed += 60
        sandbox.faults.add("GET /customers", status=403, times=None)
        with pytest.raises(PermissionDeniedError):
            await total(client)
        assert sandbox.count("GET /customers") == 1 + 1
    assert sandbox.logins == 1


async def test_calls_refused_together_are_one_refusal():
    """Twenty calls at once that one fresh token does not help hold the next login back for seconds, not for minutes."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    fault = sandbox.faults.add("GET /customers", status=401, times=None)
    async with connect(sandbox, clock=clock) as client:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(refuse, client)
        assert sandbox.logins == 2
        sandbox.faults.remove(fault)
        sandbox.revoke_all()
        clock.passed += 5
        assert await total(client) == 5
