"""`AuthenticationError.login_refused`: whether a customer's own credentials were refused."""

import pytest
from attrs import evolve

from carecloud_async import AuthenticationError, CareCloud, CustomerSession, SessionExpiredError
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


async def test_a_wrong_password_of_a_customer(sandbox):
    """The refused password of a customer, and an unknown e-mail, are a refused login."""
    known = sandbox.customer_session()
    assert (await refusal(sandbox, evolve(known, password="wrong"))).login_refused
    assert (await refusal(sandbox, evolve(known, login_value=f"x{FIRST_CUSTOMER_EMAIL}"))).login_refused


async def test_refused_credentials_of_the_application(sandbox):
    """The refused id of an application and the refused password of an API user are no customer's refused login."""
    device = evolve(sandbox.device(), external_application_id="0" * 26)
    wrong = CustomerSession(device, login_type="email", login_value="a@example.com", password="x")
    assert not (await refusal(sandbox, wrong)).login_refused
    assert not (await refusal(sandbox, evolve(sandbox.credentials(), password="wrong"))).login_refused


async def test_a_session_that_ended(sandbox):
    """A session that ended is no refused login."""
    error = await refusal(sandbox, CustomerSession.resume(token_id="ended"))
    assert isinstance(error, SessionExpiredError)
    assert not error.login_refused
