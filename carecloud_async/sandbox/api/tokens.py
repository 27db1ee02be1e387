"""The operations on device tokens: create, change, and log a customer in and out on one."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call, Handler
from carecloud_async.sandbox.api.credentials import (
    check_application,
    customer_of_login,
    customer_of_social,
    customer_of_token,
    new_authentication_token,
)
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, unauthorized
from carecloud_async.sandbox.json_text import JsonObject


def create(call: Call) -> JsonObject:
    """`POST /tokens`: a new token for a device kills its older one."""
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
    """`POST /tokens/{token_id}/actions/authentication-token-login`: uses such a token up."""
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
}
