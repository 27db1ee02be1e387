"""Operations that refuse every token: how many logins they cost."""

import anyio
import pytest
from auth_tools import FakeClock, OwnProvider, connect, make_sandbox, manager_of, slow_sandbox

from carecloud_async import AuthenticationError, MemoryTokenStore, Token
from carecloud_async._calls.auth.renewal_rules import FIRST_REPLAY_DELAY, MAX_USELESS_DELAY

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


@pytest.mark.parametrize("in_a_row", [2, 3])
async def test_tokens_revoked_in_a_row_fail_no_call(in_a_row):
    """Where CareCloud served the operation before, a renewed token that is refused too is renewed after a second."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    async with connect(sandbox, clock=clock) as client:
        await total(client)
        for _ in range(3):
            logins, began = sandbox.logins, clock.passed
            sandbox.faults.add("GET /customers", status=401, times=in_a_row)
            assert await total(client) == 5
            assert sandbox.logins - logins == in_a_row
            assert clock.passed - began == pytest.approx(in_a_row - 1)


async def test_a_fourth_refusal_in_a_row_is_final():
    """Two further tokens are tried; the error names both possible causes and does not blame the credentials."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    async with connect(sandbox, clock=clock) as client:
        await total(client)
        sandbox.faults.add("GET /customers", status=401, times=None)
        with pytest.raises(AuthenticationError, match="for this operation or because it was revoked") as caught:
            await total(client)
        assert sandbox.count("GET /customers") == 1 + 4
    assert sandbox.logins == 1 + 3
    assert "credentials" not in caught.value.fix.settings


async def test_calls_refused_twice_together_share_their_logins():
    """Twenty calls whose renewed token is refused too cost one login more, not one each."""
    clock = FakeClock()
    sandbox = slow_sandbox(clock)
    async with connect(sandbox, clock=clock) as client:
        await total(client)
        sandbox.faults.add("GET /customers", status=401, times=40)
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(total, client)
    assert sandbox.logins <= 1 + 3


async def test_one_record_that_is_always_refused_costs_a_bounded_number_of_logins():
    """In a minute of calls, refused for one record and served for another, each call logs in once and ten do again."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    async with connect(sandbox, clock=clock) as client:
        await total(client)
        calls = 0
        while clock.passed < 60:
            calls += 1
            fault = sandbox.faults.add("GET /customers", status=401, times=None)
            await refuse(client)
            sandbox.faults.remove(fault)
            await total(client)
            clock.passed += 1
        assert sandbox.logins <= 1 + calls + 10


async def test_tokens_of_another_process_that_are_revoked_too_cost_one_login():
    """The stored token that takes the place of a revoked one is revoked as well: the call logs in and succeeds."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    store = MemoryTokenStore(clock=clock)
    async with connect(sandbox, clock=clock, token_store=store) as idle:
        await total(idle)
        clock.passed += 3600
        async with connect(sandbox, clock=clock, token_store=store) as other:
            await other.login()
        sandbox.revoke_all()
        logins = sandbox.logins
        assert await total(idle) == 5
    assert sandbox.logins == logins + 1


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
        clock.passed += FIRST_REPLAY_DELAY
        assert await total(client) == 5


async def test_a_refusal_of_an_old_token_is_no_reason_to_hold_back():
    """A replay that met a second revocation hours after its login does not keep the next call from a login."""
    clock = FakeClock()
    manager = manager_of(OwnProvider(Token("old"), Token("new")), clock=clock)
    token = await manager.get()
    clock.passed += 3600
    manager.on_fresh_token_refused(token, "GET /customers")
    assert await manager.may_renew(token, "GET /customers", again=False)
    assert (await manager.get(rejected=token)).value == "new"


async def test_tokens_that_replicas_learn_of_late_cost_a_few_logins():
    """Four seconds in which every fresh token is refused, for six operations in turn: five logins at most."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    async with connect(sandbox, clock=clock) as client:
        lists = [
            getattr(client, name).list for name in ("customers", "cards", "users", "stores", "currencies", "rewards")
        ]
        for read in lists:
            await read().total()
        sandbox.revoke_all()
        for name in ("customers", "cards", "users", "stores", "currencies", "rewards"):
            sandbox.faults.add(f"GET /{name}", status=401, times=None)
        for read in lists * 6:
            with pytest.raises(AuthenticationError):
                await read().total()
            clock.passed += 4 / 36
        assert sandbox.logins <= 1 + 5
        sandbox.faults.clear()
        clock.passed += MAX_USELESS_DELAY
        sandbox.revoke_all()
        assert await client.users.list().total() >= 1
