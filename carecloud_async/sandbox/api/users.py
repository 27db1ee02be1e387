"""Users of the enterprise interface: login, single sign-on, logout."""

from __future__ import annotations

from carecloud_async.sandbox.api.answers import Answer, json_answer
from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.logins import refused
from carecloud_async.sandbox.api.problems import invalid
from carecloud_async.sandbox.constants import USER_AUTH_TOKEN, USER_ID, USER_LOGIN
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.people import api_user
from carecloud_async.sandbox.state.plans import USERS


def log_in(call: Call) -> Answer:
    """`POST /users/actions/login`."""
    body = _of_application(call)
    if call.state.passwords.get(body["login"]) != body["password"]:
        raise refused(call)
    return _logged_in(call, body["login"])


def log_in_by_sso(call: Call) -> Answer:
    """`POST /users/actions/sso-login`."""
    name = call.state.sso_tokens.get(_of_application(call)["sso_token"])
    if name is None:
        raise refused(call)
    return _logged_in(call, name)


def log_out(call: Call) -> None:
    """`POST /users/actions/logout`: ends the token in the body."""
    if not call.state.user_tokens.revoke(_of_application(call)["bearer_token"]):
        raise invalid("bearer_token", "not_found")


def verify_auth_token(call: Call) -> JsonObject:
    """`POST /users/actions/verify-auth-token`."""
    if arguments(call)["auth_token"] != USER_AUTH_TOKEN:
        raise invalid("auth_token", "not_found")
    return {"user_id": USER_ID}


def _of_application(call: Call) -> JsonObject:
    body = arguments(call)
    application = body["user_external_application_id"]
    if application not in call.state.user_applications:
        raise invalid("user_external_application_id", "not_found", value=application)
    return body


def _logged_in(call: Call, login_name: str) -> Answer:
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
