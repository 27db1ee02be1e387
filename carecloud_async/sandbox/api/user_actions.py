"""The actions of enterprise users: login, single sign-on, logout."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.api.answers import Answer, json_answer
from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call, Handler
from carecloud_async.sandbox.api.credentials import refused
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.constants import USER_AUTH_TOKEN, USER_ID, USER_LOGIN
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.plans import USERS
from carecloud_async.sandbox.state.users import api_user


def login(call: Call) -> Answer:
    """`POST /users/actions/login`."""
    body = _arguments(call)
    if call.state.passwords.get(body["login"]) != body["password"]:
        raise refused(call)
    return _logged_in(call, body["login"])


def sso_login(call: Call) -> Answer:
    """`POST /users/actions/sso-login`."""
    name = call.state.sso_tokens.get(_arguments(call)["sso_token"])
    if name is None:
        raise refused(call)
    return _logged_in(call, name)


def logout(call: Call) -> None:
    """`POST /users/actions/logout`: ends the token in the body."""
    if not call.state.user_tokens.revoke(_arguments(call)["bearer_token"]):
        raise bad_request(InvalidParam(name="bearer_token", reason="not_found"))


def verify_auth_token(call: Call) -> JsonObject:
    """`POST /users/actions/verify-auth-token`."""
    if arguments(call)["auth_token"] != USER_AUTH_TOKEN:
        raise bad_request(InvalidParam(name="auth_token", reason="not_found"))
    return {"user_id": USER_ID}


def _arguments(call: Call) -> JsonObject:
    body = arguments(call)
    application = body["user_external_application_id"]
    if application not in call.state.user_applications:
        raise bad_request(InvalidParam(name="user_external_application_id", reason="not_found", value=application))
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


HANDLERS: Final[dict[str, Handler]] = {
    "postUserLogin": login,
    "postUserLogout": logout,
    "postUserSsoLogin": sso_login,
    "postUserVerifyAuthToken": verify_auth_token,
}
