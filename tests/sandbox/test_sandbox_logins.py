"""Logins: who gets a token, how long it is valid, and what it gives access to."""

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.api_rules import broken_rules
from carecloud_async.sandbox import (
    CUSTOMER_APPLICATION_ID,
    FIRST_CUSTOMER_EMAIL,
    FIRST_CUSTOMER_ID,
    OTHER_CUSTOMER_APPLICATION_ID,
    SOCIAL_NETWORK_IDS,
    SOCIAL_TOKEN_PREFIX,
    SSO_TOKEN,
    USER_APPLICATION_ID,
    USER_AUTH_TOKEN,
    USER_ID,
    USER_LOGIN,
    USER_PASSWORD,
    Sandbox,
)
from tests.sandbox.contract_shapes import refusals

pytestmark = pytest.mark.anyio


async def test_login_answers_like_the_quickstart(sandbox, enterprise):
    """A login brings a 40-digit token, the user with a numeric phone, and an end in project time."""
    sandbox.clock.set(datetime(2026, 7, 1, 12, tzinfo=UTC))
    body = {
        "user_external_application_id": USER_APPLICATION_ID,
        "login": "fabulous_user",
        "password": "password_example",
    }
    answer = await enterprise.call("POST", "/users/actions/login", json=body)
    data = answer.json()["data"]
    assert answer.status_code == 200
    assert len(data["bearer_token"]) == 40
    assert data["valid_to"] in ("2026-07-01 21:00:00", "2026-07-01 20:59:59", "2026-07-01 21:00:01")
    assert data["user"]["phone"] == 420123828931
    assert answer.headers["date"].startswith("Wed, 01 Jul 2026 12:00")
    assert broken_rules(sandbox) == []


@pytest.mark.parametrize("untidy", [True, False])
async def test_a_tidy_user_is_as_described(connect, untidy):
    """Without untidy records the API user has a phone of text and a list of roles, in the login and in the list."""
    sandbox = Sandbox(customers=1, untidy=untidy)
    body = {"user_external_application_id": USER_APPLICATION_ID, "login": USER_LOGIN, "password": USER_PASSWORD}
    async with connect(sandbox, "enterprise") as api:
        data = (await api.call("POST", "/users/actions/login", json=body)).json()["data"]
    shown = {name: data["user"].get(name) for name in ("phone", "user_role_id", "user_role_ids")}
    role = "86e05affc7a7befcd513ab400"
    quickstart = {"phone": 420123828931, "user_role_id": role, "user_role_ids": None}
    described = {"phone": "420123828931", "user_role_id": None, "user_role_ids": [role]}
    assert shown == (quickstart if untidy else described)
    assert sandbox.records("users").get(data["user"]["user_id"]) == data["user"]


@pytest.mark.parametrize(
    ("method", "path", "name", "value"),
    [
        ("POST", "/users/actions/verify-auth-token", "auth_token", "95d22b814d9495b4e723e7a17ee104319"),
        ("GET", "/tokens/{}/actions/auth-token", "external_application_id", "8bed991c68a470e7aaeffbf048"),
    ],
)
async def test_tokens_and_applications_of_the_descriptions_examples_exist(connect, method, path, name, value):
    """The authentication token and the application that examples of the description name are known."""
    async with connect(Sandbox(1), "enterprise" if method == "POST" else "customer") as api:
        token = await (api.user_token() if method == "POST" else api.device_token())
        if method == "GET":
            await api.customer_login(token)
        sent = {"json": {name: value}} if method == "POST" else {"params": {name: value, "token_type": 2}}
        assert (await api.call(method, path.format(token), token=token, **sent)).status_code == 200


async def test_tokens_expire_are_revoked_and_logged_out(sandbox, enterprise):
    """A token that ended, was revoked or logged out gets 401."""
    expired = await enterprise.user_token()
    sandbox.advance(7 * 3600 + 1)
    revoked, logged_out, good = [await enterprise.user_token() for _ in range(3)]
    assert sandbox.revoke(revoked)
    body = {"user_external_application_id": USER_APPLICATION_ID, "bearer_token": logged_out}
    assert (await enterprise.call("POST", "/users/actions/logout", token=logged_out, json=body)).status_code == 204
    for token in (expired, revoked, logged_out, None, "nonsense"):
        assert (await enterprise.get("/customers", token=token)).status_code == 401
    assert (await enterprise.get("/customers", token=good)).status_code == 200
    sandbox.revoke_all()
    assert (await enterprise.get("/customers", token=good)).status_code == 401


async def test_wrong_credentials_are_refused(enterprise):
    """A wrong password is a 403; an unknown application id is a 400 that names it."""
    body = {"user_external_application_id": USER_APPLICATION_ID, "login": "fabulous_user", "password": "wrong"}
    answer = await enterprise.call("POST", "/users/actions/login", json=body)
    assert (answer.status_code, "error" in answer.json()) == (403, True)
    body["user_external_application_id"] = "nobody"
    answer = await enterprise.call("POST", "/users/actions/login", json=body)
    assert refusals(answer) == [("user_external_application_id", "not_found")]


async def test_single_sign_on_and_the_auth_token(enterprise):
    """A single sign-on token logs in, and an auth token is recognised."""
    body = {"user_external_application_id": USER_APPLICATION_ID, "sso_token": SSO_TOKEN}
    answer = await enterprise.call("POST", "/users/actions/sso-login", json=body)
    token = answer.json()["data"]["bearer_token"]
    verified = await enterprise.call(
        "POST", "/users/actions/verify-auth-token", token=token, json={"auth_token": USER_AUTH_TOKEN}
    )
    assert verified.json()["data"] == {"user_id": USER_ID}
    wrong = await enterprise.call("POST", "/users/actions/sso-login", json={**body, "sso_token": "wrong"})
    assert wrong.status_code == 403


async def test_a_new_device_token_ends_the_old_one(customer):
    """A device has one token for an application; tokens of other devices and applications stay valid."""
    old = await customer.device_token("a")
    other_device = await customer.device_token("b")
    other_application = await customer.device_token("a", OTHER_CUSTOMER_APPLICATION_ID)
    new = await customer.device_token("a")
    assert len(new) == 72
    statuses = [
        (await customer.customer_login(item)).status_code for item in (old, other_device, other_application, new)
    ]
    assert statuses == [401, 200, 200, 200]


async def test_a_login_binds_the_device_token(sandbox, customer):
    """After the login the token acts as the customer; after the logout it is valid without a customer."""
    token = await customer.device_token()
    assert (await customer.get("/customers", token=token)).status_code == 401
    assert (await customer.customer_login(token)).json()["data"] == {"customer_id": FIRST_CUSTOMER_ID}
    data = (await customer.get("/customers", token=token)).json()["data"]
    assert data["total_items"] == 1
    assert data["customers"][0]["customer_id"] == FIRST_CUSTOMER_ID
    assert (await customer.call("POST", f"/tokens/{token}/actions/logout", token=token)).status_code == 204
    assert (await customer.get("/customers", token=token)).status_code == 401
    assert (await customer.customer_login(token)).status_code == 200


@pytest.mark.parametrize(("kind", "value"), [("email", "JOHN.SMITH@example.com"), ("phone", "420523828931")])
async def test_customers_log_in_by_several_names(sandbox, customer, kind, value):
    """E-mail and phone both log in; a wrong password does not."""
    token = await customer.device_token()
    assert (await customer.customer_login(token, value, kind=kind)).json()["data"]["customer_id"] == FIRST_CUSTOMER_ID
    assert (await customer.customer_login(token, value, kind=kind, password="wrong")).status_code == 401
    card = sandbox.customers.account(sandbox.customers.id_at(7)).card
    by_card = await customer.customer_login(token, card, kind="card")
    assert by_card.json()["data"]["customer_id"] == sandbox.customers.id_at(7)


async def test_token_in_path_and_header_must_be_the_same(customer):
    """A login with another device's token in the path is refused, and so is one without a header."""
    mine, other = await customer.device_token("a"), await customer.device_token("b")
    body = {"login_type": "email", "login_value": FIRST_CUSTOMER_EMAIL, "password": "Correct-Horse-7"}
    crossed = await customer.call("POST", f"/tokens/{other}/actions/login", token=mine, json=body)
    bare = await customer.call("POST", f"/tokens/{mine}/actions/login", json=body)
    assert (crossed.status_code, bare.status_code) == (403, 401)


async def test_social_network_login(sandbox, customer):
    """A customer's token at a social network logs in."""
    token = await customer.device_token()
    customer_id = sandbox.customers.id_at(9)
    social = {"social_network_id": SOCIAL_NETWORK_IDS[0], "social_network_token": SOCIAL_TOKEN_PREFIX + customer_id}
    path = f"/tokens/{token}/actions/social-network-login"
    right = await customer.call("POST", path, token=token, json={"social_network_credentials": social})
    wrong = await customer.call(
        "POST",
        path,
        token=token,
        json={"social_network_credentials": {**social, "social_network_token": "wrong"}},
    )
    assert right.json()["data"] == {"customer_id": customer_id}
    assert wrong.status_code == 401


async def test_an_authentication_token_is_valid_once_and_ends(sandbox, customer):
    """A token for another application logs its customer in once, and only until it ends."""
    token = await customer.device_token()
    other = await customer.device_token("other", OTHER_CUSTOMER_APPLICATION_ID)
    await customer.customer_login(token)

    async def fetch():
        answer = await customer.get(
            f"/tokens/{token}/actions/auth-token",
            token=token,
            external_application_id=OTHER_CUSTOMER_APPLICATION_ID,
            token_type=2,
        )
        return answer.json()["data"]

    async def use(data, application=OTHER_CUSTOMER_APPLICATION_ID):
        body = {
            "application_id": application,
            "token": data["authentication_token"],
            "token_request_id": data["token_request_id"],
        }
        path = f"/tokens/{other}/actions/authentication-token-login"
        return await customer.call("POST", path, token=other, json=body)

    data = await fetch()
    assert data["authentication_token"].isdigit()
    assert (await use(data, CUSTOMER_APPLICATION_ID)).status_code == 401
    assert (await use(data)).json()["data"] == {"customer_id": FIRST_CUSTOMER_ID}
    assert (await use(data)).status_code == 401
    late = await fetch()
    sandbox.advance(timedelta(minutes=6).total_seconds())
    assert (await use(late)).status_code == 401
