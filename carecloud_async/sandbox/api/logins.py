"""Logins of customers and users, the device tokens that customers log in on, and tokens for other applications."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from carecloud_async.sandbox.api.actions import Action
from carecloud_async.sandbox.api.calls import Call, RefusalError, forbidden, invalid, refusal, unauthorized
from carecloud_async.sandbox.api.customers import checked_social
from carecloud_async.sandbox.constants import (
    APPLICATION_IDS,
    SSO_TOKEN,
    USER_APPLICATION_ID,
    USER_AUTH_TOKEN,
    USER_ID,
    USER_LOGIN,
)
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customers import api_user
from carecloud_async.sandbox.state.facts import USERS

#: The characters of an authentication token, by its type.
_ALPHABETS: Final = {"1": "ABCDEFGHJKLMNPQRSTUVWXYZ23456789", "2": "0123456789"}
#: Of an authentication token, in seconds.
_LIFETIME: Final = 300.0


def _refused(call: Call) -> RefusalError:
    """The refusal of wrong credentials: 401 where a customer logs in on a token, otherwise 403."""
    detail = "Login or password is not valid"
    if call.api.template.startswith("/tokens/"):
        return refusal(401, "invalid_credentials_exception", "Unauthorized", detail, {})
    return forbidden(detail)


def identifies(find: Callable[[Call, JsonObject], str]) -> Action:
    """Make an action that answers the customer's id, and logs the customer in if the path holds a device token.

    Args:
        find: returns the id of the customer whose credentials the body holds.
    """

    def action(call: Call, body: JsonObject) -> JsonObject:
        customer_id = find(call, body)
        if "token_id" in call.path:
            call.state.device_tokens.bind(call.path["token_id"], customer_id=customer_id)
        return {"customer_id": customer_id}

    return action


def customer_of_login(call: Call, body: JsonObject) -> str:
    """The customer with this e-mail, phone or card and this password.

    Raises:
        RefusalError: there is no such customer.
    """
    customers = call.state.customers
    for customer_id in customers.by_login(body["login_type"], body["login_value"]):
        if customers.account(customer_id).password == body["password"]:
            return customer_id
    raise _refused(call)


def customer_of_social(call: Call, body: JsonObject) -> str:
    """The customer with this token at this social network.

    Raises:
        RefusalError: there is no such customer.
    """
    social = checked_social(body)
    customer_ids = [] if social is None else call.state.customers.by_social(*social)
    if not customer_ids:
        raise _refused(call)
    return customer_ids[0]


def customer_of_token(call: Call, body: JsonObject) -> str:
    """The customer of an authentication token, which is no longer valid afterwards.

    Raises:
        RefusalError: there is no such token.
    """
    proof = (body["token"], body["token_request_id"], body["application_id"])
    customer_id, ends = call.state.handed_over.get(proof, ("", 0.0))
    if ends <= call.state.clock.now():
        raise _refused(call)
    del call.state.handed_over[proof]
    return customer_id


def issue_auth_token(call: Call, body: JsonObject) -> JsonObject:
    """A token that takes a customer to another application.

    Raises:
        RefusalError: 400 for another type or application.
    """
    kind, application_id, state = str(body["token_type"]), body["external_application_id"], call.state
    _check_application(body, "external_application_id", *APPLICATION_IDS)
    if kind not in _ALPHABETS:
        raise invalid("token_type", "not_allowed_value")
    value = "".join(state.random.choice(_ALPHABETS[kind]) for _ in range(6))
    request_id, ends = state.random_hex(72), state.clock.now() + _LIFETIME
    state.handed_over[value, request_id, application_id] = (body["customer_id"], ends)
    return {"authentication_token": value, "token_request_id": request_id, "valid_to": state.clock.local(ends)}


def own_auth_token(call: Call, body: JsonObject) -> JsonObject:
    """A token that takes the customer who is logged in to another application."""
    if call.customer_id is None:
        raise unauthorized("No customer is logged in on this token")
    return issue_auth_token(call, {"token_type": "1", **body, "customer_id": call.customer_id})


def _check_application(body: JsonObject, name: str, *known: str) -> None:
    if body[name] not in known:
        raise invalid(name, "not_found", value=body[name])


def create_token(call: Call, body: JsonObject) -> JsonObject:
    """A new token for a device ends the older one."""
    _check_application(body, "external_application_id", *APPLICATION_IDS)
    device = (body["external_application_id"], str(body["device"]["device_id"]))
    return {"token_id": call.state.device_tokens.create(device)}


def unbind_token(call: Call, _body: JsonObject) -> None:
    """Log the customer out: the token stays valid, without a customer."""
    call.state.device_tokens.bind(call.path["token_id"], customer_id=None)


def log_user_in(call: Call, body: JsonObject) -> JsonObject:
    """Log a user in by login and password, or by a token of a single sign-on."""
    _check_application(body, "user_external_application_id", USER_APPLICATION_ID)
    state, name = call.state, body.get("login", USER_LOGIN)
    is_known = state.passwords.get(name) == body["password"] if "login" in body else body["sso_token"] == SSO_TOKEN
    if not is_known:
        raise _refused(call)
    # The table of users can be long, and most logins are the API user's.
    users = [api_user(untidy=state.tables.untidy)] if name == USER_LOGIN else call.table(USERS)
    user = next((user for user in users if user["login"] == name), None) or {"login": name}
    token = state.user_tokens.issue(str(user.get("user_id", name)), lifetime=state.token_lifetime)
    return {"bearer_token": token.value, "valid_to": state.clock.local(token.ends), "user": user}


def log_user_out(call: Call, body: JsonObject) -> None:
    """End the token in the body."""
    _check_application(body, "user_external_application_id", USER_APPLICATION_ID)
    if not call.state.user_tokens.revoke(body["bearer_token"]):
        raise invalid("bearer_token", "not_found")


def verify_auth_token(_call: Call, body: JsonObject) -> JsonObject:
    """The user whose authentication token this is."""
    if body["auth_token"] != USER_AUTH_TOKEN:
        raise invalid("auth_token", "not_found")
    return {"user_id": USER_ID}
