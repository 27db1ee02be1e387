"""Tokens that end by time: the two windows before their end, on hosts and projects all over the world."""

import logging
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from auth_tools import (
    HOST,
    LOGIN,
    START,
    FakeClock,
    OwnProvider,
    connect,
    failures,
    hold,
    in_parallel,
    make_sandbox,
    slow_sandbox,
    total,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit import hand_out_again
from lying import lie
from thorough import examples, variants

from carecloud_async import CareCloud, ConfigurationError, Timeout, Token

pytestmark = pytest.mark.anyio
LIFE = 1000.0


async def warm(sandbox, client):
    await total(client)
    sandbox.forget_requests()


async def test_in_the_advisory_window_one_call_renews_and_none_waits():
    """While a login hangs, all calls but the one that logs in are served with the old token, without a pause."""
    clock = FakeClock()
    sandbox = make_sandbox(clock, token_lifetime=LIFE)
    async with connect(sandbox, clock=clock) as client:
        await warm(sandbox, client)
        clock.passed = LIFE * 0.8
        gate = hold(sandbox)
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
async def test_a_hanging_login_fails_no_call_while_the_token_is_good(part):
    """The call that logs in, and those that wait for it, go on with the old token within a part of their own time."""
    clock = FakeClock()
    sandbox = slow_sandbox(clock, token_lifetime=LIFE)
    async with connect(sandbox, clock=clock) as client:
        await warm(sandbox, client)
        clock.passed = LIFE * part
        hold(sandbox)
        view = client.with_options(timeout=Timeout(total=2))
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
    async with connect(sandbox, clock=clock) as client:
        await warm(sandbox, client)
        clock.passed = LIFE * 0.8
        sandbox.faults.add(LOGIN, status=503, times=1)
        results, gate = [], hold(sandbox)
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


HOUR = 3600.0


async def call_for(client, clock, *, seconds, every):
    for _ in range(int(seconds / every)):
        await client.customers.list().total()
        clock.passed += every


async def test_a_login_in_the_repeated_hour_of_autumn_tells_the_end_of_its_token():
    """A login between the two 02:30 of autumn says the second one, as its `Date` shows."""
    clock = FakeClock(start=datetime(2026, 10, 25, 0, 45, tzinfo=UTC).timestamp())
    sandbox = make_sandbox(clock, token_lifetime=HOUR * 3 / 4)
    async with connect(sandbox, clock=clock) as client:
        assert (await client.login()).valid_to == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "night", [datetime(2026, 10, 24, 18, tzinfo=UTC), datetime(2026, 3, 28, 18, tzinfo=UTC)], ids=["autumn", "spring"]
)
@pytest.mark.parametrize("life", [*variants(HOUR), 7 * HOUR])
async def test_the_night_of_the_clock_change_costs_no_401(night, life):
    """Through both changes of the clock tokens are renewed in time, and not in a circle."""
    clock = FakeClock(start=night.timestamp())
    sandbox = make_sandbox(clock, token_lifetime=life)
    async with connect(sandbox, clock=clock) as client:
        await call_for(client, clock, seconds=14 * HOUR, every=min(life / 12, 900))
    assert sandbox.statuses[401] == 0
    assert sandbox.logins <= 2 * 14 * HOUR / life + 2


@pytest.mark.parametrize("zone", ["Asia/Tokyo", *variants("America/Los_Angeles", "Asia/Irkutsk")])
async def test_a_wrong_zone_works_through_the_401(zone, caplog):
    """With the wrong zone configured no call fails, logins stay few, and at most one warning is written."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    async with connect(sandbox, timezone=zone, clock=clock) as client:
        await call_for(client, clock, seconds=48 * HOUR, every=1800)
    assert sandbox.logins <= 2 * 48  # Irkutsk makes one hour of seven
    assert len([record for record in caplog.records if "lifetime" in record.message]) <= 1


@pytest.mark.parametrize("wrong", ["valid_to", "negative", "absurd", "last", "date"])
async def test_unreadable_token_end_is_seven_hours_and_one_warning(wrong, caplog):
    """An unreadable or impossible `valid_to`, or a missing `Date`, counts as seven hours, with one warning."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    ends = {
        "valid_to": "soon",
        "negative": "2001-01-01 00:00:00",
        "absurd": "2999-01-01",
        "last": "9999-12-31 23:59:59",
    }
    lie(sandbox, **({"date": False} if wrong == "date" else {"valid_to": ends[wrong]}))
    async with connect(sandbox, clock=clock) as client:
        await call_for(client, clock, seconds=24 * HOUR, every=1200)
    assert sandbox.logins == 4
    assert sandbox.statuses[401] == 0
    warnings = [
        record
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name == "carecloud_async.auth"
    ]
    assert ["token lifetime unknown" in record.getMessage() for record in warnings] == [True]


@pytest.mark.parametrize("margin", [*variants(2.0), 60.0, *variants(600.0)])
async def test_a_server_that_hands_back_the_same_token_is_not_asked_in_a_circle(margin):
    """Until shortly before its end the login returns the token of before: a handful of logins for each token."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    hand_out_again(sandbox, margin)
    async with connect(sandbox, clock=clock) as client:
        await call_for(client, clock, seconds=6.5 * HOUR, every=300)
        await call_for(client, clock, seconds=HOUR / 2 - 30, every=10)
        await call_for(client, clock, seconds=60, every=0.5)  # the last seconds of the first token
    assert sandbox.statuses[401] == 0
    assert sandbox.logins <= 12


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    zone=st.sampled_from(["Europe/Prague", "Asia/Kolkata", "America/St_Johns", "Pacific/Auckland", "UTC"]),
    life=st.floats(min_value=5, max_value=20 * HOUR),
    start=st.integers(min_value=0, max_value=2 * 365 * 24),
    steps=st.lists(
        st.tuples(st.floats(min_value=0.01, max_value=3 * HOUR), st.integers(min_value=-14, max_value=14)),
        min_size=1,
        max_size=25,
    ),
)
def test_no_call_fails_whatever_zone_life_and_jumps(zone, life, start, steps):
    """Property: no 401 outside of autumn's double hour, never a failed call, at most one login for each call."""

    async def story():
        clock = FakeClock(start=START + start * HOUR)
        sandbox = make_sandbox(clock, timezone=zone, token_lifetime=life)
        async with connect(sandbox, timezone=zone, clock=clock) as client:
            for pause, jump in steps:
                await client.customers.list().total()
                clock.passed += pause
                clock.skew = jump * HOUR
        assert sandbox.statuses[401] == 0
        assert sandbox.logins <= len(steps)

    anyio.run(story)


async def test_a_provider_that_asks_no_server_may_say_seconds_or_an_aware_end():
    """`expires_in` and an aware `valid_to` need no `Date`; both are renewed in time."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    for make in (
        lambda: Token("t", expires_in=1000),
        lambda: Token("t", valid_to=datetime.fromtimestamp(clock.time() + 1000, UTC)),
    ):

        async def obtain(send, previous, make=make):
            return make()

        provider = OwnProvider(obtain)
        sandbox.user_tokens.issue("u", lifetime=1e9, value="t")
        async with CareCloud(HOST, auth=provider, transport=sandbox.transport(), clock=clock) as client:
            await call_for(client, clock, seconds=10_000, every=50)
        assert 10 <= provider.asked <= 15
    assert sandbox.statuses[401] == 0


@pytest.mark.parametrize("given", [timedelta(hours=7), "3600", True])
def test_seconds_of_a_token_are_a_number(given):
    """A timedelta, a text and a truth value are refused, with what to write."""
    with pytest.raises(ConfigurationError, match="total_seconds"):
        Token("t", expires_in=given)


@pytest.mark.parametrize("value", ["", "a b", "token\n", "tóken", None, 7])
def test_a_token_is_what_a_header_can_carry(value):
    """HTTP libraries quote a bad header in their errors, so a bad token is refused before, unquoted."""
    with pytest.raises(ConfigurationError) as caught:
        Token(value)
    assert "ASCII" in str(caught.value)
    assert str(value) not in str(caught.value) or not value
