"""Device tokens: exactly one for each device, customers' sessions on them, and what a store keeps of both."""

import json
from functools import partial

import pytest
from attrs import evolve
from auth_tools import FakeClock, connect, failures, in_parallel, kept_by, make_sandbox, me, slow_sandbox, touch
from lying import lie

from benchmarks.api_rules import broken_rules
from carecloud_async import (
    AuthenticationError,
    ConfigurationError,
    CustomerSession,
    DeviceSetup,
    DeviceTokenConflictError,
    FileTokenStore,
    MemoryTokenStore,
    SessionExpiredError,
)

pytestmark = pytest.mark.anyio
CREATE = "POST /tokens"
LOGIN = "POST /tokens/{token_id}/actions/login"


async def test_stored_session_needs_its_password(tmp_path):
    """The right e-mail with a wrong password gets no stored session, and ends no session that runs, nor does a 401."""
    sandbox = make_sandbox()
    session = sandbox.customer_session(0, "phone")
    thief = evolve(session, password="guessed")
    store = FileTokenStore(tmp_path / "tokens.json")
    async with connect(sandbox, auth=session, token_store=store) as client:
        customer = await me(client)
        async with connect(sandbox, auth=thief, token_store=store) as other:
            with pytest.raises(AuthenticationError):
                await me(other)
        with pytest.raises(AuthenticationError):
            await me(client.acting_as(thief))
        sandbox.faults.add(LOGIN, status=401)
        with pytest.raises(AuthenticationError):
            await client.login()
        refused = sandbox.statuses[401]
        assert await me(client) == customer
    assert (sandbox.count(CREATE), sandbox.statuses[401]) == (1, refused)


async def test_a_session_on_a_recreated_device_token_logs_in_again():
    """The device token died: a new one, and the customer is back, without the caller noticing."""
    sandbox = slow_sandbox()
    async with connect(sandbox, auth=sandbox.customer_session(0)) as client:
        customer = await me(client)
        sandbox.revoke_all()
        assert set(await in_parallel(20, partial(me, client))) == {customer}
    assert sandbox.count(CREATE) == sandbox.count(LOGIN) == 2


async def test_a_session_whose_customer_cannot_be_logged_in_again_is_over():
    """A changed password at the next renewal is a SessionExpiredError that names the call."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.customer_session(0)) as client:
        await me(client)
        sandbox.revoke_all()
        sandbox.faults.add(LOGIN, status=401, times=None)
        for _ in range(3):
            with pytest.raises(SessionExpiredError) as caught:
                await me(client)
        assert caught.value.path == "/tokens/{token_id}/actions/login"
    assert sandbox.count(LOGIN) == 2


async def test_a_resumed_session_that_is_over_keeps_saying_so_without_the_network():
    """SessionExpiredError for every call after the first 401, and nothing more is sent."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.device()) as portal:
        mine = portal.acting_as(sandbox.customer_session(0))
        state = await mine.login()
        again = portal.acting_as(CustomerSession.resume(token_id=state.token_id, customer_id=state.customer_id))
        assert await me(again) == state.customer_id
        assert (await again.login()).customer_id == state.customer_id
        sandbox.revoke_all()
        sandbox.forget_requests()
        errors = failures(await in_parallel(10, partial(me, again)))
        assert {type(error) for error in errors} == {SessionExpiredError}
        sent = len(sandbox.requests)
        for _ in range(3):
            with pytest.raises(SessionExpiredError):
                await me(again)
        with pytest.raises(SessionExpiredError):
            await again.login()
        assert len(sandbox.requests) == sent
    assert sandbox.count(CREATE) == 0


async def test_two_holders_of_one_device_end_in_a_conflict():
    """Without a shared store they recreate in turns: the second forced recreation within a minute says why."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    device = sandbox.device("kiosk")
    async with (
        connect(sandbox, auth=device, clock=clock) as first,
        connect(sandbox, auth=device, clock=clock) as second,
    ):
        await touch(first)
        await touch(second)
        await touch(first)
        await touch(second)
        for _ in range(3):
            with pytest.raises(DeviceTokenConflictError, match=r"another program .* logged out .* token store"):
                await touch(first)
        assert sandbox.count(CREATE) == 4
        clock.passed += 61
        await touch(first)
    assert sandbox.count(CREATE) == 5


async def test_a_device_that_asks_for_a_customers_data_does_not_burn_its_tokens():
    """A 401 that a new token does not cure recreates it once, not with every call, and the error says so."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.device("kiosk")) as client:
        await touch(client)
        for _ in range(4):
            with pytest.raises(AuthenticationError) as caught:
                await client.request("GET", "customers")
            assert caught.value.path == "/customers"
        await touch(client)
    assert sandbox.count(CREATE) == 2


async def test_a_ping_of_a_device_burns_no_token():
    """The project answers; that no customer is logged in is no reason for a new device token."""
    sandbox = make_sandbox()
    lie(sandbox)
    async with connect(sandbox, auth=sandbox.device("kiosk")) as client:
        await client.ping()
        lie(sandbox, answers={401: (403, {"error": {"type": "access_denied_exception", "title": "Access denied"}})})
        await client.ping()
    assert sandbox.count(CREATE) == 1


async def test_replace_changes_the_setup_and_survives_a_dead_token():
    """`client.tokens.replace` goes to the own token, and to its successor if it died."""
    sandbox = make_sandbox()
    setup = DeviceSetup(language_id="cs", allowed_gps=False, allowed_notifications=True)
    async with connect(sandbox, auth=sandbox.device("kiosk")) as client:
        await client.tokens.replace(setup=setup, push_token="push-1")
        sandbox.revoke_all()
        await client.tokens.replace(setup=setup)
        assert sandbox.count(CREATE) == 2
    assert not broken_rules(sandbox)
    assert [r.method for r in sandbox.requests] == ["POST", "PUT", "PUT", "POST", "PUT"]


async def test_the_device_rule_holds_through_logout_and_login():
    """After a logout the device is free; its first customer may not log in on it again while another has it."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.device()) as portal:
        first = portal.acting_as(sandbox.customer_session(0, "kiosk"))
        await first.login()
        with pytest.raises(ConfigurationError, match="device"):
            portal.acting_as(sandbox.customer_session(1, "kiosk"))
        await first.logout()
        second = portal.acting_as(sandbox.customer_session(1, "kiosk"))
        await second.login()
        with pytest.raises(ConfigurationError, match="device"):
            await first.login()
        await second.logout()
        await first.login()


async def test_a_dropped_view_frees_its_device():
    """A view that the program has dropped does not block the next customer of the kiosk."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.device()) as portal:
        first = await portal.acting_as(sandbox.customer_session(0, "kiosk")).login()
        second = await portal.acting_as(sandbox.customer_session(1, "kiosk")).login()
    assert first.customer_id != second.customer_id


DAY = 24 * 3600.0


@pytest.mark.parametrize("remember", [None, True])
async def test_sessions_of_random_devices_are_stored_only_when_asked(remember):
    """A random device id leaves nothing in the store, unless `remember=True`."""
    sandbox, store = make_sandbox(), MemoryTokenStore()
    device = evolve(sandbox.device(), remember=remember)
    async with connect(sandbox, auth=device, token_store=store) as portal:
        await touch(portal)
        session = evolve(sandbox.customer_session(0), device=evolve(sandbox.device(), remember=remember))
        await portal.acting_as(session).login()
    assert kept_by(store) == (2 if remember else 0)


async def test_a_changed_remember_holds_for_a_device_in_use():
    """A view with another `remember` for the same device decides whether the next token is stored."""
    sandbox, store = make_sandbox(), MemoryTokenStore()
    device = sandbox.device("kiosk")
    async with connect(sandbox, auth=evolve(device, remember=False), token_store=store) as client:
        await touch(client)
        assert kept_by(store) == 0
        view = client.acting_as(evolve(device, remember=True))
        sandbox.revoke_all()
        await touch(view)
    assert kept_by(store) == 1


@pytest.mark.parametrize("way", ["own", "resumed", "tokens.logout"])
async def test_any_views_logout_discards_the_stored_record(way):
    """The session's own view, one resumed from its token, and the operation itself leave no record behind."""
    sandbox, store = make_sandbox(), MemoryTokenStore()
    async with connect(sandbox, auth=sandbox.device("portal"), token_store=store) as portal:
        mine = portal.acting_as(sandbox.customer_session(0, "phone"))
        state = await mine.login()
        assert kept_by(store) == 1
        if way == "own":
            await mine.logout()
        elif way == "resumed":
            await portal.acting_as(CustomerSession.resume(token_id=state.token_id)).logout()
        else:
            await portal.tokens.logout(state.token_id)
    assert kept_by(store) == 0


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_a_session_is_stored_for_ninety_days(kind, tmp_path):
    """A process that starts later logs in again; one that runs goes on with its token."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    store = MemoryTokenStore(clock=clock) if kind == "memory" else FileTokenStore(tmp_path / "t", clock=clock)
    session = sandbox.customer_session(0, "phone")
    options = {"auth": session, "token_store": store, "clock": clock}
    async with connect(sandbox, **options) as client:
        await me(client)
        clock.passed += 89 * DAY
        async with connect(sandbox, **options) as restarted:
            await me(restarted)
        clock.passed += 2 * DAY
        await me(client)
    assert sandbox.count(LOGIN) == 1
    async with connect(sandbox, **options) as later:
        await me(later)
    assert sandbox.count(LOGIN) == 2
    assert sandbox.statuses[401] == 0


@pytest.mark.parametrize(
    "damage", [{"value": ""}, {"value": "two words"}, {"value": "ž"}, {"secret_hash": "scrypt$ž$1"}]
)
async def test_a_damaged_record_is_replaced_by_the_next_login(tmp_path, damage):
    """A token that no header can carry, or a hash that no password has, fails no call."""
    sandbox, path = make_sandbox(), tmp_path / "tokens"
    session = evolve(sandbox.customer_session(0), device=sandbox.device("kiosk"))

    async def use():
        async with connect(sandbox, auth=session, token_store=FileTokenStore(path)) as client:
            await me(client)

    await use()
    (record,) = path.with_name("tokens.d").glob("*.json")
    record.write_text(json.dumps({**json.loads(record.read_text("ascii")), **damage}), "ascii")
    for _ in range(2):
        await use()
    assert sandbox.count(LOGIN) == 2
