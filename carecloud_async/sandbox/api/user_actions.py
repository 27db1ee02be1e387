"""The actions of enterprise users: login, single sign-on, logout."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.api.answer import Answer, json_answer
from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call, Handler
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, refused_login
from carecloud_async.sandbox.constants import USER_AUTH_TOKEN, USER_ID, USER_LOGIN
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.plans import USERS
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.users import api_user


def login(state: SandboxState, call: Call) -> Answer:
    """`POST /users/actions/login`."""
    body = _arguments(state, call)
    if state.passwords.get(body["login"]) != body["password"]:
        raise refused_login(state.settings.login_refusal or 403)
    return _logged_in(state, body["login"])


def sso_login(state: SandboxState, call: Call) -> Answer:
    """`POST /users/actions/sso-login`."""
    name = state.sso_tokens.get(_arguments(state, call)["sso_token"])
    if name is None:
        raise refused_login(state.settings.login_refusal or 403)
    return _logged_in(state, name)


def logout(state: SandboxState, call: Call) -> None:
    """`POST /users/actions/logout`: ends the token in the body."""
    if not state.user_tokens.revoke(_arguments(state, call)["bearer_token"]):
        raise bad_request(InvalidParam(name="bearer_token", reason="not_found"))


def verify_auth_token(state: SandboxState, call: Call) -> JsonObject:
    """`POST /users/actions/verify-auth-token`."""
    if arguments(state, call)["auth_token"] != USER_AUTH_TOKEN:
        raise bad_request(InvalidParam(name="auth_token", reason="not_found"))
    return {"user_id": USER_ID}


HANDLERS: Final[dict[str, Handler]] = {
    "postUserLogin": login,
    "postUserLogout": logout,
    "postUserSsoLogin": sso_login,
    "postUserVerifyAuthToken": verify_auth_token,
}


def _arguments(state: SandboxState, call: Call) -> JsonObject:
    body = arguments(state, call)
    application = body["user_external_application_id"]
    if application not in state.user_applications:
        raise bad_request(InvalidParam(name="user_external_application_id", reason="not_found", value=application))
    return body


def _logged_in(state: SandboxState, login_name: str) -> Answer:
    settings = state.settings
    users = [api_user()] if login_name == USER_LOGIN else state.tables.table(USERS)  # which can be many
    user = next((user for user in users if user["login"] == login_name), None) or {"login": login_name}
    token = state.user_tokens.issue(
        str(user.get("user_id", login_name)), lifetime=settings.token_lifetime, reuse_margin=settings.reuse_tokens
    )
    valid_to = state.local(token.ends) if state.overrides.valid_to is None else state.overrides.valid_to
    data = {"bearer_token": token.value, "valid_to": valid_to, "user": user}
    return json_answer({"data": data}, status=settings.login_status)
