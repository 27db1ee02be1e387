"""Logging in by other means, and logging out."""

from functools import partial

import anyio
import pytest
from attrs import evolve
from auth_tools import connect, hold, in_parallel, make_sandbox, me, social_session, sso_credentials, total

from benchmarks.api_rules import broken_rules
from carecloud_async import (
    AuthenticationError,
    AuthenticationTokenSession,
    CareCloudError,
    ConnectionFailedError,
    CustomerSession,
    FileTokenStore,
    OutcomeUnknownError,
    RetryPolicy,
    ServerError,
    SessionExpiredError,
    SsoCredentials,
)
from carecloud_async.sandbox.constants import OTHER_CUSTOMER_APPLICATION_ID, SSO_TOKEN

pytestmark = pytest.mark.anyio
CREATE = "POST /tokens"
LOGOUT = "POST /users/actions/logout"
AUTH_TOKEN_LOGIN = "POST /tokens/{token_id}/actions/authentication-token-login"
CUSTOMER_LOGOUT = "POST /tokens/{token_id}/actions/logout"


async def test_single_sign_on_logs_in_and_out():
    """By text and by callable; after a logout the next call logs in again."""
    sandbox = make_sandbox()
    known = sso_credentials()

    async def fetch():
        return SSO_TOKEN

    fetched = SsoCredentials(external_application_id=known.external_application_id, sso_token=fetch, subject="fabulous")
    for credentials in (known, fetched):
        async with connect(sandbox, auth=credentials) as client:
            assert await total(client) == 5
            state = await client.login()
            assert state.user.login == "fabulous_user"
            await client.logout()
            assert sandbox.user_tokens.find(state.token_id) is None
            assert await total(client) == 5
    assert sandbox.count(LOGOUT) == 2
    with pytest.raises(AuthenticationError):
        async with connect(sandbox, auth=evolve(known, sso_token="wrong")) as client:
            await total(client)


@pytest.mark.parametrize("subject", ["", "fabulous"])
async def test_fetched_sign_on_tokens_are_shared_by_subject_only(tmp_path, subject):
    """Two objects with one callable share a token, in a client and through a store, only if they name their user."""
    sandbox = make_sandbox()
    store = FileTokenStore(tmp_path / "tokens.json")
    application = sandbox.credentials().external_application_id
    signed_on = iter([SSO_TOKEN, "another user's"])

    def users_token():
        return next(signed_on)

    alice, bob = (
        SsoCredentials(external_application_id=application, sso_token=users_token, subject=subject) for _ in range(2)
    )
    assert (alice == bob) is bool(subject)
    async with connect(sandbox, auth=sandbox.credentials(), token_store=store) as client:
        for _ in range(2):
            assert await total(client.acting_as(alice)) == 5
        if subject:
            assert await total(client.acting_as(bob)) == 5
        else:
            with pytest.raises(AuthenticationError):
                await total(client.acting_as(bob))
    signed_on = iter([SSO_TOKEN])
    async with connect(sandbox, auth=evolve(alice), token_store=store) as client:
        assert await total(client) == 5
    assert sandbox.count("POST /users/actions/sso-login") == (1 if subject else 3)


async def test_a_social_network_logs_a_customer_in_and_out():
    """The session is the customer's, is renewed, and ends with its logout."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=social_session(sandbox, 1)) as client:
        customer = await me(client)
        sandbox.revoke_all()
        assert await me(client) == customer
        await client.logout()
        with pytest.raises(SessionExpiredError, match="login"):
            await me(client)
        assert (await client.login()).customer_id == customer
        assert await me(client) == customer


async def test_an_authentication_token_hands_a_customer_over_once(tmp_path):
    """An authentication token logs in on another application, survives a restart by the store, cannot be renewed."""
    sandbox = make_sandbox()
    store = FileTokenStore(tmp_path / "tokens.json")
    async with connect(sandbox, auth=sandbox.customer_session(2)) as client:
        customer = await me(client)
        issued = await client.tokens.auth_token(external_application_id=OTHER_CUSTOMER_APPLICATION_ID)
    session = AuthenticationTokenSession(
        evolve(sandbox.device("till"), external_application_id=OTHER_CUSTOMER_APPLICATION_ID),
        token=issued.authentication_token,
        token_request_id=issued.token_request_id,
    )
    for _ in range(2):
        async with connect(sandbox, auth=session, token_store=store) as client:
            assert await me(client) == customer
    sandbox.revoke_all()
    async with connect(sandbox, auth=session, token_store=store) as client:
        for _ in range(3):
            with pytest.raises(SessionExpiredError):
                await me(client)
    assert not broken_rules(sandbox)


async def test_a_token_for_one_use_is_never_shown_twice():
    """A login by such a token whose answer is lost is not repeated: refused the second time, it would seem wrong."""
    sandbox = make_sandbox()
    sso = SsoCredentials(external_application_id=sandbox.credentials().external_application_id, sso_token=SSO_TOKEN)
    handed = AuthenticationTokenSession(sandbox.device("till"), token="handed", token_request_id="x")
    for session, path in ((sso, "POST /users/actions/sso-login"), (handed, AUTH_TOKEN_LOGIN)):
        sandbox.faults.add(path, cut="after")
        async with connect(sandbox, auth=session) as client:
            with pytest.raises(ConnectionFailedError) as caught:
                await client.login()
        assert not caught.value.may_have_happened
        assert sandbox.count(path) == 1


@pytest.mark.parametrize(
    "fault", [{"cut": "after"}, {"status": 500}, {"garbage": True}], ids=["lost", "500", "damaged"]
)
async def test_a_login_with_an_unknown_outcome_says_nothing_of_the_call_that_waited_for_it(fault):
    """A write that was not sent, because its login failed, has not happened."""
    sandbox = make_sandbox()
    sso = SsoCredentials(external_application_id=sandbox.credentials().external_application_id, sso_token=SSO_TOKEN)
    sandbox.faults.add("POST /users/actions/sso-login", **fault)
    async with connect(sandbox, auth=sso) as client:
        with pytest.raises(CareCloudError) as caught:
            await client.request("POST", "/customers", json={"a": 1})
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert not caught.value.may_have_happened
    assert sandbox.count("POST /users/actions/sso-login") == 1
    assert sandbox.count("POST /customers") == 0


async def test_a_logout_of_a_token_that_is_dead_already_is_fine():
    """A 401 at the logout means that it is done."""
    sandbox = make_sandbox()
    async with connect(sandbox) as client:
        await total(client)
        sandbox.revoke_all()
        await client.logout()


async def test_a_logout_that_failed_can_be_repeated():
    """The token is kept for another try, and the session stays closed meanwhile."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.customer_session(0), retry=RetryPolicy(attempts=1)) as client:
        state = await client.login()
        sandbox.faults.add(CUSTOMER_LOGOUT, status=503, times=1)
        with pytest.raises(ServerError):
            await client.logout()
        with pytest.raises(SessionExpiredError):
            await me(client)
        await client.logout()
        assert sandbox.device_tokens.find(state.token_id).customer_id is None


async def test_a_failed_login_does_not_open_a_closed_session():
    """Logged out stays logged out until a login succeeds."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.customer_session(0)) as client:
        await client.login()
        await client.logout()
        sandbox.faults.add("POST /tokens/{token_id}/actions/login", status=403, times=1)
        with pytest.raises(AuthenticationError):
            await client.login()
        with pytest.raises(SessionExpiredError):
            await me(client)
        await client.login()
        await me(client)


async def test_a_logout_during_a_login_wins():
    """A session that was being opened when it was logged out is closed."""
    sandbox = make_sandbox()
    gate = hold(sandbox, CREATE)
    async with connect(sandbox, auth=sandbox.customer_session(0)) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(in_parallel, 1, client.login))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(client.logout)
            await anyio.wait_all_tasks_blocked()
            gate.set()
        with pytest.raises(SessionExpiredError):
            await me(client)
    assert sandbox.count(CUSTOMER_LOGOUT) == 1


@pytest.mark.parametrize("ends", ["logout", "401"])
async def test_a_session_that_is_resumed_after_a_new_login_on_its_device(ends):
    """After a logout and a new login on the device, a view made after the login works; older ones do not."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=sandbox.device("portal")) as portal:
        mine = portal.acting_as(sandbox.customer_session(0, "browser"))
        before = await mine.login()
        resumed = CustomerSession.resume(token_id=before.token_id, customer_id=before.customer_id)
        old = portal.acting_as(resumed)
        if ends == "logout":
            await old.logout()
        else:
            sandbox.device_tokens.bind(before.token_id, customer_id=None)
            with pytest.raises(SessionExpiredError):
                await me(old)
        with pytest.raises(SessionExpiredError):
            await me(portal.acting_as(resumed))
        assert await mine.login() == before
        assert await me(portal.acting_as(resumed)) == before.customer_id
        with pytest.raises(SessionExpiredError):
            await me(old)


async def test_a_logout_from_a_stored_token_needs_no_login(tmp_path):
    """A new process that only logs out ends the stored session."""
    sandbox = make_sandbox()
    store = FileTokenStore(tmp_path / "tokens.json")
    session = sandbox.customer_session(0, "phone")
    async with connect(sandbox, auth=session, token_store=store) as client:
        state = await client.login()
    async with connect(sandbox, auth=session, token_store=store) as client:
        await client.logout()
    assert sandbox.device_tokens.find(state.token_id).customer_id is None
    assert sandbox.count(CREATE) == 1
