"""The two windows before a token's end: in the advisory one no call waits, in the mandatory one all do."""

import anyio
import pytest
from auth_tools import LOGIN, FakeClock, connect, failures, in_parallel, make_sandbox, slow_sandbox, total

from carecloud_async import Timeout

pytestmark = pytest.mark.anyio
LIFE = 1000.0


async def warm(sandbox, client):
    await total(client)
    sandbox.forget_requests()


async def test_in_the_advisory_window_one_call_renews_and_none_waits():
    """While a login hangs, all calls but the one that logs in are served with the old token, without a pause."""
    clock = FakeClock()
    sandbox = make_sandbox(clock, token_lifetime=LIFE)
    gate = anyio.Event()

    async def hold(request):
        if request.name == LOGIN:
            await gate.wait()

    async with connect(sandbox, clock=clock) as client:
        await warm(sandbox, client)
        clock.passed = LIFE * 0.8
        sandbox.on_request = hold
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(total, client)
            await anyio.wait_all_tasks_blocked()
            for _ in range(30):
                tasks.start_soon(total, client)
            await anyio.wait_all_tasks_blocked()
            assert sandbox.count("GET /customers") == 30
            gate.set()
    assert sandbox.logins == 1
    assert sandbox.statuses[401] == 0


async def test_in_the_mandatory_window_all_wait_for_one():
    """Near the end every caller gets the new token, from one login."""
    clock = FakeClock()
    sandbox = slow_sandbox(clock, token_lifetime=LIFE)
    async with connect(sandbox, clock=clock) as client:
        await warm(sandbox, client)
        old = sandbox.requests
        clock.passed = LIFE * 0.97
        assert not failures(await in_parallel(30, lambda: total(client)))
        tokens = {request.token for request in old if request.method == "GET"}
    assert sandbox.logins == 1
    assert len(tokens) == 1


@pytest.mark.parametrize("part", [0.8, 0.97])
@pytest.mark.parametrize("seconds", [4, 2])
async def test_a_hanging_login_fails_no_call_while_the_token_is_good(part, seconds):
    """The call that logs in, and those that wait for it, go on with the old token within a part of their own time."""
    clock = FakeClock()
    sandbox = slow_sandbox(clock, token_lifetime=LIFE)

    async def hang(request):
        if request.name == LOGIN:
            await anyio.sleep_forever()

    async with connect(sandbox, clock=clock) as client:
        await warm(sandbox, client)
        clock.passed = LIFE * part
        sandbox.on_request = hang
        view = client.with_options(timeout=Timeout(total=seconds))
        assert not failures(await in_parallel(10, lambda: total(view)))


@pytest.mark.parametrize(("status", "least", "most"), [(503, 4, 14), (401, 1, 4)])
async def test_a_login_that_fails_fails_no_call_while_the_token_is_good(status, least, most):
    """The renewal backs off, more so if it is refused: a few logins, and the new token as soon as there is one."""
    clock = FakeClock()
    sandbox = make_sandbox(clock, token_lifetime=LIFE)
    async with connect(sandbox, clock=clock) as client:
        await warm(sandbox, client)
        fault = sandbox.faults.add(LOGIN, status=status, times=None)
        clock.passed = LIFE * 0.76
        while clock.passed < LIFE * 0.98:
            await total(client)
            clock.passed += 1
        assert least <= sandbox.logins <= most
        sandbox.faults.remove(fault)
        clock.passed = LIFE * 2
        await total(client)
    assert sandbox.statuses[401] == (0 if status == 503 else sandbox.logins - 1)


async def test_after_the_end_a_503_is_waited_out():
    """Without a good token the login is patient."""
    clock = FakeClock()
    sandbox = slow_sandbox(clock, token_lifetime=LIFE)
    async with connect(sandbox, clock=clock) as client:
        await warm(sandbox, client)
        clock.passed = LIFE * 2
        sandbox.faults.add(LOGIN, status=503, times=3)
        assert not failures(await in_parallel(20, lambda: total(client)))
    assert sandbox.logins == 4


async def test_an_impatient_renewal_that_fails_is_followed_by_a_patient_one():
    """If a token dies during its advisory renewal, a failure of that renewal reaches no waiting call."""
    clock = FakeClock()
    sandbox = slow_sandbox(clock, token_lifetime=LIFE)
    gate = anyio.Event()

    async def hold(request):
        if request.name == LOGIN and sandbox.logins == 1:
            await gate.wait()

    async with connect(sandbox, clock=clock) as client:
        await warm(sandbox, client)
        clock.passed = LIFE * 0.8
        sandbox.faults.add(LOGIN, status=503, times=1)
        sandbox.on_request = hold
        results = []
        async with anyio.create_task_group() as tasks:

            async def call():
                results.append(await total(client))

            tasks.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            sandbox.revoke_all()
            for _ in range(10):
                tasks.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            gate.set()
        assert len(results) == 11
    assert sandbox.logins == 2
