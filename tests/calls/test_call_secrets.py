"""A server that repeats secrets in its answers: no error, record or log shows them."""

import json
import logging
import pickle

import httpx
import pytest
from kit import KnownUser, is_login, login_answer
from verdict_families import connect, device

from carecloud_async import (
    ApiError,
    AuthenticationError,
    CareCloudError,
    CustomerSession,
    EnterpriseCredentials,
    ResponseError,
    RetryPolicy,
)

pytestmark = pytest.mark.anyio

TOKEN, LOGIN, PASSWORD = "Planted0Token8ea6abece", "PlantedLogin", "PlantedPassword"
USER = EnterpriseCredentials(external_application_id="89d1a611", login=LOGIN, password=PASSWORD)
ONCE = RetryPolicy(attempts=1)


def error_with(text, reason=None):
    """An error of the API with a text at every place that is kept of it."""
    params = [{"name": text, "reason": reason or text}, {"name": [text, {text: 1}], "reason": f"{text}:{text}"}]
    texts = {"type": text, "exception": text, "title": text, "detail": f"it is {text}"}
    return json.dumps({"error": {**texts, "error_data": {"invalid_params": params}}}).encode()


async def told(answer, call, *, auth=USER):
    """Return the error of a call, and everything that it and the records say."""
    async with connect(answer, auth=auth, retry=ONCE) as client:
        with client.record_calls() as records, pytest.raises(CareCloudError) as caught:
            await call(client)
    error, stored = caught.value, pickle.loads(pickle.dumps(caught.value))
    ids = [record.request_id for record in records]
    return error, f"{error} {error!r} {vars(error)} {stored} {vars(stored)} {records} {ids}"


def get(client):
    return client.customers.get("x")


@pytest.mark.parametrize("secret", [TOKEN, LOGIN, PASSWORD, TOKEN.upper(), f"id-{TOKEN}", f"x.{LOGIN}:1"])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 500])
async def test_an_error_that_repeats_the_identitys_secrets_shows_none(secret, status, caplog):
    """A token, a login name or a password in codes, prose or the request id is replaced by stars, for any status."""
    caplog.set_level(logging.DEBUG)

    def answer(request):
        if is_login(request):
            return login_answer(TOKEN)
        return httpx.Response(status, content=error_with(secret), headers={"X-Request-Id": secret})

    _, text = await told(answer, get)
    text += caplog.text + str([vars(record) for record in caplog.records])
    assert "planted" not in text.lower()
    assert "***" in text


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_a_page_that_repeats_the_identitys_secrets_shows_none(status):
    """Login name and password in a page or the `Server` header stay out, though another call sent them."""
    page = f"<title>Hello {LOGIN} {PASSWORD} there</title>".encode()
    headers = {"Server": f"{LOGIN}/1.0 {TOKEN} nginx", "X-Request-Id": TOKEN}

    def answer(request):
        return login_answer(TOKEN) if is_login(request) else httpx.Response(status, content=page, headers=headers)

    assert "planted" not in (await told(answer, get))[1].lower()


@pytest.mark.parametrize("secret", [LOGIN, PASSWORD])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_a_login_whose_answer_repeats_it_shows_nothing(secret, status):
    """The refusal of a login is shown without the name and the password that it was sent with."""
    refused = httpx.Response(status, content=error_with(secret), headers={"X-Request-Id": secret})
    error, text = await told(lambda _: refused, lambda client: client.login())
    assert isinstance(error, ResponseError if status == 200 else ApiError)
    assert "planted" not in text.lower()


@pytest.mark.parametrize("secret", [TOKEN, "PlantedCard", PASSWORD])
async def test_a_customers_login_that_is_repeated_shows_nothing(secret):
    """The device token in the path, the login value and the password of a customer stay out of the refusal."""
    session = CustomerSession(device(), login_type="card", login_value="PlantedCard", password=PASSWORD)

    def answer(request):
        if request.url.path.endswith("/tokens"):
            return httpx.Response(201, json={"data": {"token_id": TOKEN}})
        # A PUT asks for the device token, and has no other secret to repeat.
        repeated = TOKEN if request.method == "PUT" else secret
        return httpx.Response(401, content=error_with(repeated), headers={"X-Request-Id": repeated})

    error, text = await told(answer, lambda client: client.customers.me(), auth=session)
    assert isinstance(error, AuthenticationError)
    assert "planted" not in text.lower()


@pytest.mark.parametrize("password", [PASSWORD, "already_exists"])
async def test_a_password_in_a_body_is_hidden_and_the_reason_kept(password):
    """A customer's new password is replaced in the refusal of a write; the API's own reasons are compared as before."""
    refused = httpx.Response(400, content=error_with(PASSWORD, reason="already_exists"))
    body = {"customer": {"a": 1}, "password": password}
    error, text = await told(
        lambda _: refused, lambda client: client.request("POST", "things", json=body), auth=KnownUser()
    )
    assert error.has_reason("already_exists")
    assert (PASSWORD in text) == (password != PASSWORD)


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
async def test_short_secrets_are_hidden_where_they_stand_alone(secret, text, hidden):
    """A secret of eight characters and more is hidden everywhere, a shorter one not within a word."""
    refused = httpx.Response(400, json={"error": {"title": text}})
    body = {"password": secret}
    error, _ = await told(
        lambda _: refused, lambda client: client.request("POST", "things", json=body), auth=KnownUser()
    )
    assert error.title == hidden
