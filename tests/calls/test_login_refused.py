"""`AuthenticationError.login_refused`: whether a customer's own credentials were refused."""

import pytest
from attrs import evolve

from carecloud_async import (
    ApiError,
    AuthenticationError,
    CareCloud,
    CustomerSession,
    RetryPolicy,
    SessionExpiredError,
)
from carecloud_async.sandbox import FIRST_CUSTOMER_EMAIL, Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(customers=3)


async def refusal(sandbox, auth):
    async with CareCloud("x.example.com", auth=auth, transport=sandbox.transport()) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.login()
    return caught.value


async def test_whose_credentials_were_refused(sandbox):
    """A customer's refused password or e-mail is a refused login, and no other refusal is."""
    known = sandbox.customer_session()
    device = evolve(sandbox.device(), external_application_id="0" * 26)
    for auth, refused in (
        (evolve(known, password="wrong"), True),
        (evolve(known, login_value=f"x{FIRST_CUSTOMER_EMAIL}"), True),
        (CustomerSession(device, login_type="email", login_value="a@example.com", password="x"), False),
        (evolve(sandbox.credentials(), password="wrong"), False),
        (CustomerSession.resume(token_id="ended"), False),
    ):
        error = await refusal(sandbox, auth)
        assert error.login_refused is refused
    assert isinstance(error, SessionExpiredError)


@pytest.mark.parametrize("status", [408, 425, 429, 503])
async def test_a_busy_server_refuses_no_credentials(sandbox, status):
    """A login that is answered with 408, 425, 429 or 503 fails one call, and the next call logs in at once."""
    sandbox.faults.add("POST /users/actions/login", status=status)
    once = {"retry": RetryPolicy(attempts=1), "rate_limit": None}
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport(), **once) as client:
        with pytest.raises(ApiError) as caught:
            await client.ping()
        assert not isinstance(caught.value, AuthenticationError)
        await client.ping()
    assert sandbox.count("POST /users/actions/login") == 2


REFUSED = b'{"error": {"type": "unauthorized", "exception": "login_failed", "title": "No", "detail": "No"}}'


async def test_an_error_with_a_success_status_refuses_the_login(sandbox):
    """A login that is answered with 200 and an error of CareCloud is refused: the next calls do not send it again."""
    sandbox.faults.add("POST /users/actions/login", status=200, body=REFUSED, times=None)
    async with CareCloud("x.example.com", auth=sandbox.credentials(), transport=sandbox.transport()) as client:
        for _ in range(3):
            with pytest.raises(AuthenticationError, match=r"200 on POST .* the login was refused"):
                await client.ping()
    assert sandbox.count("POST /users/actions/login") == 1


async def test_a_customer_who_is_refused_with_a_success_status(sandbox):
    """A customer's login that is answered with 200 and an error of CareCloud is a refused login."""
    sandbox.faults.add("POST /tokens/{token_id}/actions/login", status=200, body=REFUSED, times=None)
    assert (await refusal(sandbox, sandbox.customer_session())).login_refused
