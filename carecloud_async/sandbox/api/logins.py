"""Logins of customers and users, the device tokens that customers log in on, and tokens for other applications."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Answer, Call, Handler, json_answer
from carecloud_async.sandbox.api.customers import checked_social
from carecloud_async.sandbox.api.problems import (
    InvalidParam,
    RefusalError,
    invalid,
    refuse,
    refused_login,
    unauthorized,
)
from carecloud_async.sandbox.constants import (
    CUSTOMER_APPLICATION_ID,
    OTHER_CUSTOMER_APPLICATION_ID,
    USER_AUTH_TOKEN,
    USER_ID,
    USER_LOGIN,
)
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customer_store import CustomerStore
from carecloud_async.sandbox.state.people import api_user
from carecloud_async.sandbox.state.plans import USERS
from carecloud_async.sandbox.state.tokens import AuthenticationToken

LOOK_UPS: Final[Mapping[str, Callable[[CustomerStore, str], list[str]]]] = {
    "email": CustomerStore.by_email,
    "phone": CustomerStore.by_phone,
    "card": CustomerStore.by_card,
}
"""How customers are found, by the type of a login."""
_ALPHABETS: Final = {"1": "ABCDEFGHJKLMNPQRSTUVWXYZ23456789", "2": "0123456789"}
"""The characters of an authentication token, by its type."""
_LIFETIME: Final = timedelta(minutes=5).total_seconds()
"""Of an authentication token."""


def refused(call: Call) -> RefusalError:
    """The refusal of wrong credentials: 401 where a customer logs in on a token, otherwise 403."""
    return refused_login(401 if call.api.template.startswith("/tokens/") else 403)


def identifies(find: Callable[[Call], str]) -> Handler:
    """Make a handler that answers the customer's id, and logs the customer in if the path holds a device token.

    Args:
        find: Returns the id of the customer whose credentials the body holds.
    """

    def handler(call: Call) -> JsonObject:
        customer_id = find(call)
        if "token_id" in call.path:
            call.state.device_tokens.bind(call.path["token_id"], customer_id=customer_id)
        return {"customer_id": customer_id}

    return handler


def customer_of_login(call: Call) -> str:
    """The customer with this e-mail, phone or card and this password.

    Raises:
        RefusalError: There is no such customer, or the body is not valid.
    """
    body, customers = arguments(call), call.state.customers
    for customer_id in LOOK_UPS[body["login_type"]](customers, body["login_value"]):
        if customers.account(customer_id).password == body["password"]:
            return customer_id
    raise refused(call)


def customer_of_social(call: Call) -> str:
    """The customer with this token at this social network.

    Raises:
        RefusalError: There is no such customer, or the body is not valid.
    """
    social = checked_social(arguments(call))
    found = [] if social is None else call.state.customers.by_social(*social)
    if not found:
        raise refused(call)
    return found[0]


def customer_of_token(call: Call) -> str:
    """The customer of an authentication token, which is no longer valid afterwards.

    Raises:
        RefusalError: There is no such token, or the body is not valid.
    """
    body, state = arguments(call), call.state
    customer_id = state.device_tokens.redeem(
        body["token"],
        request_id=body["token_request_id"],
        application_id=body["application_id"],
        now=state.clock.now(),
    )
    if customer_id is None:
        raise refused(call)
    return customer_id


def test_customer(call: Call) -> str:
    """The oldest customer.

    Raises:
        RefusalError: There are no customers.
    """
    if not len(call.state.customers):
        raise invalid("token_id", "not_found", message="There is no test customer")
    return call.state.customers.id_at(0)


def new_authentication_token(call: Call, *, kind: str, application_id: str, customer_id: str) -> JsonObject:
    """Make an authentication token, and return the data of the answer.

    Args:
        call: The request.
        kind: `1` for letters and digits, `2` for digits alone.
        application_id: The application that the customer goes to.
        customer_id: The customer.

    Raises:
        RefusalError: 400 for another kind or application.
    """
    check_application(application_id)
    if kind not in _ALPHABETS:
        raise invalid("token_type", "not_allowed_value")
    state = call.state
    token = AuthenticationToken(
        value="".join(state.random.choice(_ALPHABETS[kind]) for _ in range(6)),
        request_id=state.random_hex(72),
        application_id=application_id,
        customer_id=customer_id,
        ends=state.clock.now() + _LIFETIME,
    )
    state.device_tokens.add_authentication_token(token)
    return {
        "authentication_token": token.value,
        "token_request_id": token.request_id,
        "valid_to": state.local(token.ends),
    }


def check_application(application_id: str) -> None:
    """Check the id of a customers' application.

    Raises:
        RefusalError: 400 if there is no such application.
    """
    if application_id not in (CUSTOMER_APPLICATION_ID, OTHER_CUSTOMER_APPLICATION_ID):
        raise invalid("external_application_id", "not_found", value=application_id)


def create_token(call: Call) -> JsonObject:
    """`POST /tokens`: a new token for a device ends the older one."""
    body = arguments(call)
    application = body["external_application_id"]
    check_application(application)
    token_id = call.state.device_tokens.create(
        application_id=application, device=body["device"], setup=body["setup"], push_token=body.get("push_token")
    )
    return {"token_id": token_id}


def change_token(call: Call) -> None:
    """`PUT /tokens/{token_id}`."""
    body = arguments(call)
    call.state.device_tokens.change_setup(call.path["token_id"], setup=body["setup"], push_token=body.get("push_token"))


def unbind_token(call: Call) -> None:
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


def log_user_in(call: Call) -> Answer:
    """`POST /users/actions/login`."""
    body = _of_user_application(call)
    if call.state.passwords.get(body["login"]) != body["password"]:
        raise refused(call)
    return _user_logged_in(call, body["login"])


def log_user_in_by_sso(call: Call) -> Answer:
    """`POST /users/actions/sso-login`."""
    name = call.state.sso_tokens.get(_of_user_application(call)["sso_token"])
    if name is None:
        raise refused(call)
    return _user_logged_in(call, name)


def log_user_out(call: Call) -> None:
    """`POST /users/actions/logout`: ends the token in the body."""
    if not call.state.user_tokens.revoke(_of_user_application(call)["bearer_token"]):
        raise invalid("bearer_token", "not_found")


def verify_auth_token(call: Call) -> JsonObject:
    """`POST /users/actions/verify-auth-token`."""
    if arguments(call)["auth_token"] != USER_AUTH_TOKEN:
        raise invalid("auth_token", "not_found")
    return {"user_id": USER_ID}


def _of_user_application(call: Call) -> JsonObject:
    body = arguments(call)
    application = body["user_external_application_id"]
    if application not in call.state.user_applications:
        raise invalid("user_external_application_id", "not_found", value=application)
    return body


def _user_logged_in(call: Call, login_name: str) -> Answer:
    state, settings = call.state, call.state.settings
    # The table of users can be long, and most logins are the API user's.
    users = [api_user()] if login_name == USER_LOGIN else state.tables.table(USERS)
    user = next((user for user in users if user["login"] == login_name), None) or {"login": login_name}
    token = state.user_tokens.issue(
        str(user.get("user_id", login_name)), lifetime=settings.token_lifetime, reuse_margin=settings.reuse_tokens
    )
    valid_to = state.local(token.ends)
    data = {"bearer_token": token.value, "valid_to": valid_to, "user": user}
    return json_answer({"data": data})
