"""Logins: of enterprise users, and of customers on device tokens."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.api.answers import Answer, json_answer
from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call, Handler
from carecloud_async.sandbox.api.credentials import (
    check_application,
    customer_of_login,
    customer_of_social,
    customer_of_token,
    new_authentication_token,
    refused,
)
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, unauthorized
from carecloud_async.sandbox.constants import USER_AUTH_TOKEN, USER_ID, USER_LOGIN
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.people import api_user
from carecloud_async.sandbox.state.plans import USERS


def log_user_in(call: Call) -> Answer:
    """`POST /users/actions/login`."""
    body = _of_application(call)
    if call.state.passwords.get(body["login"]) != body["password"]:
        raise refused(call)
    return _user_logged_in(call, body["login"])


def log_user_in_by_sso(call: Call) -> Answer:
    """`POST /users/actions/sso-login`."""
    name = call.state.sso_tokens.get(_of_application(call)["sso_token"])
    if name is None:
        raise refused(call)
    return _user_logged_in(call, name)


def log_user_out(call: Call) -> None:
    """`POST /users/actions/logout`: ends the token in the body."""
    if not call.state.user_tokens.revoke(_of_application(call)["bearer_token"]):
        raise bad_request(InvalidParam(name="bearer_token", reason="not_found"))


def verify_auth_token(call: Call) -> JsonObject:
    """`POST /users/actions/verify-auth-token`."""
    if arguments(call)["auth_token"] != USER_AUTH_TOKEN:
        raise bad_request(InvalidParam(name="auth_token", reason="not_found"))
    return {"user_id": USER_ID}


def _of_application(call: Call) -> JsonObject:
    body = arguments(call)
    application = body["user_external_application_id"]
    if application not in call.state.user_applications:
        raise bad_request(InvalidParam(name="user_external_application_id", reason="not_found", value=application))
    return body


def _user_logged_in(call: Call, login_name: str) -> Answer:
    state, settings = call.state, call.state.settings
    # The table of users can be long, and most logins are the API user's.
    users = [api_user()] if login_name == USER_LOGIN else state.tables.table(USERS)
    user = next((user for user in users if user["login"] == login_name), None) or {"login": login_name}
    token = state.user_tokens.issue(
        str(user.get("user_id", login_name)), lifetime=settings.token_lifetime, reuse_margin=settings.reuse_tokens
    )
    valid_to = state.local(token.ends) if state.overrides.valid_to is None else state.overrides.valid_to
    data = {"bearer_token": token.value, "valid_to": valid_to, "user": user}
    return json_answer({"data": data}, status=settings.login_status)


def create(call: Call) -> JsonObject:
    """`POST /tokens`: a new token for a device ends the older one."""
    body = arguments(call)
    application = body["external_application_id"]
    check_application(application)
    token_id = call.state.device_tokens.create(
        application_id=application, device=body["device"], setup=body["setup"], push_token=body.get("push_token")
    )
    return {"token_id": token_id}


def change(call: Call) -> None:
    """`PUT /tokens/{token_id}`."""
    body = arguments(call)
    call.state.device_tokens.change_setup(call.path["token_id"], setup=body["setup"], push_token=body.get("push_token"))


def login(call: Call) -> JsonObject:
    """`POST /tokens/{token_id}/actions/login`: by e-mail, phone or card."""
    return _logged_in(call, customer_of_login(call))


def social_login(call: Call) -> JsonObject:
    """`POST /tokens/{token_id}/actions/social-network-login`."""
    return _logged_in(call, customer_of_social(call))


def authentication_token_login(call: Call) -> JsonObject:
    """`POST /tokens/{token_id}/actions/authentication-token-login`: the token is no longer valid afterwards."""
    return _logged_in(call, customer_of_token(call))


def login_test_customer(call: Call) -> JsonObject:
    """`POST /tokens/{token_id}/actions/login-test-customer`: logs the oldest customer in."""
    if not len(call.state.customers):
        raise bad_request(InvalidParam(name="token_id", reason="not_found", message="There is no test customer"))
    return _logged_in(call, call.state.customers.id_at(0))


def logout(call: Call) -> None:
    """`POST /tokens/{token_id}/actions/logout`: the token stays valid, without a customer."""
    call.state.device_tokens.bind(call.path["token_id"], customer_id=None)


def authentication_token(call: Call) -> JsonObject:
    """`GET /tokens/{token_id}/actions/auth-token`: a token that takes the customer to another application."""
    if call.customer_id is None:
        raise unauthorized("No customer is logged in on this token")
    application = call.query.one("external_application_id")
    if not application:
        raise bad_request(InvalidParam(name="external_application_id", reason="required"))
    kind = call.query.one("token_type") or "1"
    return new_authentication_token(call, kind=kind, application_id=application, customer_id=call.customer_id)


def send_password_email(call: Call) -> None:
    """`POST /tokens/{token_id}/actions/send-password-setup-email`: sends nothing, remembers the request."""
    body = arguments(call)
    missing = [name for name in ("communication_channel_id", "recipient") if not body.get(name)]
    if missing and not body.get("email"):
        raise bad_request(*(InvalidParam(name=name, reason="required") for name in missing))
    call.state.password_emails.append(body)


def _logged_in(call: Call, customer_id: str) -> JsonObject:
    call.state.device_tokens.bind(call.path["token_id"], customer_id=customer_id)
    return {"customer_id": customer_id}


HANDLERS: Final[dict[str, Handler]] = {
    "getTokenAuthentication": authentication_token,
    "postToken": create,
    "postTokenAuthTokenLogin": authentication_token_login,
    "postTokenLogin": login,
    "postTokenLogout": logout,
    "postTokenSendPasswordSetup": send_password_email,
    "postTokenSocialLogin": social_login,
    "postTokenTestCustomerLogin": login_test_customer,
    "putToken": change,
    "postUserLogin": log_user_in,
    "postUserLogout": log_user_out,
    "postUserSsoLogin": log_user_in_by_sso,
    "postUserVerifyAuthToken": verify_auth_token,
}
