"""Which tokens a store keeps, for how long, and which view's logout ends them."""

import json

import pytest
from attrs import evolve
from auth_tools import FakeClock, connect, kept_by, make_sandbox, me, touch

from carecloud_async import CustomerSession, FileTokenStore, MemoryTokenStore

pytestmark = pytest.mark.anyio
CREATE = "POST /tokens"
LOGIN = "POST /tokens/{token_id}/actions/login"
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
async def test_a_session_in_use_keeps_its_record_and_an_unused_one_loses_it(kind, tmp_path):
    """A client that calls now and then renews the record's time; after a month of silence it is gone."""
    clock = FakeClock()
    sandbox = make_sandbox(clock)
    store = MemoryTokenStore(clock=clock) if kind == "memory" else FileTokenStore(tmp_path / "t", clock=clock)
    session = sandbox.customer_session(0, "phone")
    async with connect(sandbox, auth=session, token_store=store, clock=clock) as client:
        for _ in range(12):
            await me(client)
            clock.passed += 9 * DAY
    for _ in range(4):  # each process that takes it up is a use
        async with connect(sandbox, auth=session, token_store=store, clock=clock) as restarted:
            await me(restarted)
        clock.passed += 20 * DAY
    assert sandbox.count(LOGIN) == 1
    clock.passed += 30 * DAY + 1
    async with connect(sandbox, auth=session, token_store=store, clock=clock) as later:
        await me(later)
    assert sandbox.count(LOGIN) == 2
    assert sandbox.statuses[401] == 0


async def test_a_lost_record_of_a_session_in_use_is_written_again():
    """A flushed store gets the record back at the next renewal of its time, without a login."""
    saved = []

    class Noting(MemoryTokenStore):
        async def save(self, key, token):
            saved.append((key, token.value))
            await super().save(key, token)

    clock = FakeClock()
    sandbox, store = make_sandbox(clock), Noting(clock=clock)
    async with connect(sandbox, auth=sandbox.device("kiosk"), token_store=store, clock=clock) as client:
        await touch(client)
        for key, value in saved:
            await store.discard(key, value)
        assert await store.load(saved[0][0]) is None
        clock.passed += 365 * DAY / 3
        await touch(client)
        assert kept_by(store) == 1
    assert sandbox.count(CREATE) == 1


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
