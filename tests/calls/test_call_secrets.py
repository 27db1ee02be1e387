"""A server that repeats secrets in its answers: no error, record or log shows them."""

import json
import logging
import pickle

import httpx
import pytest
from kit import is_login, login_answer
from verdict_families import connect, device

from carecloud_async import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    CareCloudError,
    CustomerSession,
    EnterpriseCredentials,
    RetryPolicy,
)
from carecloud_async._calls.call.call_errors import Hiding

pytestmark = pytest.mark.anyio

TOKEN, LOGIN, PASSWORD = "Planted0Token8ea6abece", "PlantedLogin", "PlantedPassword"
USER = EnterpriseCredentials(external_application_id="89d1a611", login=LOGIN, password=PASSWORD)
ONCE = RetryPolicy(attempts=1)


def error_with(text, reason=None):
    """An error of the API with a text at every place that is kept of it."""
    params = [{"name": text, "reason": reason or text}, {"name": [text, {text: 1}], "reason": f"{text}:{text}"}]
    one = {"type": text, "exception": text, "title": text, "detail": f"it is {text}"}
    return json.dumps({"error": {**one, "error_data": {"invalid_params": params}}}).encode()


def shown(error, records):
    """Everything that an error and records say of a call."""
    stored = pickle.loads(pickle.dumps(error))
    return f"{error} {error!r} {vars(error)} {stored} {vars(stored)} {records} {[one.request_id for one in records]}"


@pytest.mark.parametrize("secret", [TOKEN, LOGIN, PASSWORD, TOKEN.upper(), f"id-{TOKEN}", f"x.{LOGIN}:1"])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 500])
async def test_an_error_that_repeats_the_identitys_secrets_shows_none(secret, status, caplog):
    """A token, a login name or a password in codes, prose or the request id is replaced by stars, for any status."""
    caplog.set_level(logging.DEBUG)

    def answer(request):
        if is_login(request):
            return login_answer(TOKEN)
        return httpx.Response(status, content=error_with(secret), headers={"X-Request-Id": secret})

    async with connect(answer, auth=USER, retry=ONCE) as client:
        with client.record_calls() as records, pytest.raises(CareCloudError) as caught:
            await client.customers.get("x")
    text = shown(caught.value, records) + caplog.text + str([vars(one) for one in caplog.records])
    assert "planted" not in text.lower()
    assert "***" in text


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_a_page_that_repeats_the_identitys_secrets_shows_none(status):
    """Login name and password in a page's title or the `Server` header stay out, though another call sent them."""
    page = f"<title>Hello {LOGIN} {PASSWORD} there</title>".encode()
    headers = {"Server": f"{LOGIN}/1.0 {TOKEN} nginx", "X-Request-Id": TOKEN}

    def answer(request):
        return login_answer(TOKEN) if is_login(request) else httpx.Response(status, content=page, headers=headers)

    async with connect(answer, auth=USER, retry=ONCE) as client:
        with client.record_calls() as records, pytest.raises(CareCloudError) as caught:
            await client.customers.get("x")
    assert "planted" not in shown(caught.value, records).lower()


@pytest.mark.parametrize("secret", [LOGIN, PASSWORD])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_a_login_whose_answer_repeats_it_shows_nothing(secret, status):
    """The refusal of a login is shown without the name and the password that it was sent with."""

    def answer(request):
        return httpx.Response(status, content=error_with(secret), headers={"X-Request-Id": secret})

    async with connect(answer, auth=USER, retry=ONCE) as client:
        with client.record_calls() as records, pytest.raises(ApiError) as caught:
            await client.login()
    assert "planted" not in shown(caught.value, records).lower()


async def test_a_customers_login_that_is_repeated_shows_nothing():
    """The device token in the path, the login value and the password of a customer stay out of the refusal."""
    session = CustomerSession(device(), login_type="card", login_value="PlantedCard", password=PASSWORD)
    for secret in (TOKEN, "PlantedCard", PASSWORD):

        def answer(request, secret=secret):
            if request.url.path.endswith("/tokens"):
                return httpx.Response(201, json={"data": {"token_id": TOKEN}})
            if request.method == "PUT":  # it asks for the device token, and has no other secret to repeat
                return httpx.Response(401, content=error_with(TOKEN), headers={"X-Request-Id": TOKEN})
            return httpx.Response(401, content=error_with(secret), headers={"X-Request-Id": secret})

        async with connect(answer, auth=session, retry=ONCE) as client:
            with client.record_calls() as records, pytest.raises(AuthenticationError) as caught:
                await client.customers.me()
        assert "planted" not in shown(caught.value, records).lower()


async def test_a_password_in_a_body_is_hidden_and_the_reason_kept():
    """A customer's new password is replaced in the refusal of a write; the API's own reasons are compared as before."""

    def answer(request):
        return httpx.Response(400, content=error_with(PASSWORD, reason="already_exists"))

    for password in (PASSWORD, "already_exists"):
        async with connect(answer, retry=ONCE) as client:
            with pytest.raises(BadRequestError) as caught:
                await client.request("POST", "customers", json={"customer": {"a": 1}, "password": password})
        assert caught.value.has_reason("already_exists")
        assert (PASSWORD in shown(caught.value, [])) == (password != PASSWORD)


@pytest.mark.parametrize(
    ("secret", "text", "hidden"),
    [
        ("token-1234", "req-TOKEN-1234x", "req-***x"),
        ("card", "card_number", "card_number"),
        ("card", "card:required", "***:required"),
        ("p", "password is empty", "password is empty"),
        ("required", "required", "required"),
        ("a.b(c", "x a.b(c y", "x *** y"),
    ],
)
def test_short_secrets_are_hidden_where_they_stand_alone(secret, text, hidden):
    """A secret of eight characters and more is hidden everywhere, a shorter one not within a word."""
    assert Hiding(frozenset({secret}))(text) == hidden
