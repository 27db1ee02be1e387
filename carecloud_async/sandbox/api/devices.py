"""Device tokens: how they begin, change and lose their customer."""

from __future__ import annotations

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.logins import check_application, new_authentication_token
from carecloud_async.sandbox.api.problems import InvalidParam, invalid, refuse, unauthorized
from carecloud_async.sandbox.json_text import JsonObject


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


def logout(call: Call) -> None:
    """`POST /tokens/{token_id}/actions/logout`: the token stays valid, without a customer."""
    call.state.device_tokens.bind(call.path["token_id"], customer_id=None)


def authentication_token(call: Call) -> JsonObject:
    """`GET /tokens/{token_id}/actions/auth-token`: a token that takes the customer to another application."""
    if call.customer_id is None:
        raise unauthorized("No customer is logged in on this token")
    application = call.query.one("external_application_id")
    if not application:
        raise invalid("external_application_id", "required")
    kind = call.query.one("token_type") or "1"
    return new_authentication_token(call, kind=kind, application_id=application, customer_id=call.customer_id)


def send_password_email(call: Call) -> None:
    """`POST /tokens/{token_id}/actions/send-password-setup-email`: sends nothing, remembers the request."""
    body = arguments(call)
    if not body.get("email"):
        needed = ("communication_channel_id", "recipient")
        refuse(InvalidParam(name=name, reason="required") for name in needed if not body.get(name))
    call.state.password_emails.append(body)
