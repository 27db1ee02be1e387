"""The operations on enterprise users: login, single sign-on, logout, and reading users."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.api.answer import Answer, data_answer, no_content
from carecloud_async.sandbox.api.calls import Access, Call, Interface, Operation, required_text
from carecloud_async.sandbox.api.listing import PageSource, page_answer, places, tell_hook
from carecloud_async.sandbox.api.parameters import LIST_NAMES, Query, window_of
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, not_found, refused_login
from carecloud_async.sandbox.constants import USER_AUTH_TOKEN, USER_ID, USER_LOGIN
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.users import FILTERS, SORT_FIELDS, api_user

ONLY_ENTERPRISE: Final = frozenset({Interface.ENTERPRISE})


async def login(state: SandboxState, call: Call) -> Answer:
    """`POST /users/actions/login`."""
    body = call.json()
    application, name, password = required_text(body, "user_external_application_id", "login", "password")
    _known_application(state, application)
    if state.passwords.get(name) != password:
        raise refused_login(state.settings.login_refusal or 403)
    return _logged_in(state, name)


async def sso_login(state: SandboxState, call: Call) -> Answer:
    """`POST /users/actions/sso-login`."""
    application, sso_token = required_text(call.json(), "user_external_application_id", "sso_token")
    _known_application(state, application)
    name = state.sso_tokens.get(sso_token)
    if name is None:
        raise refused_login(state.settings.login_refusal or 403)
    return _logged_in(state, name)


async def logout(state: SandboxState, call: Call) -> Answer:
    """`POST /users/actions/logout`: ends the token in the body."""
    application, token = required_text(call.json(), "user_external_application_id", "bearer_token")
    _known_application(state, application)
    if not state.user_tokens.revoke(token):
        raise bad_request(InvalidParam(name="bearer_token", reason="not_found"))
    return no_content()


async def verify_auth_token(state: SandboxState, call: Call) -> Answer:
    """`POST /users/actions/verify-auth-token`."""
    (token,) = required_text(call.json(), "auth_token")
    if token != USER_AUTH_TOKEN:
        raise bad_request(InvalidParam(name="auth_token", reason="not_found"))
    return data_answer({"user_id": USER_ID}, pretty=state.settings.pretty)


async def list_users(state: SandboxState, call: Call) -> Answer:
    """`GET /users`."""
    window = window_of(call.query, sortable=SORT_FIELDS)
    users = [user for user in state.tables.users if _passes(user, call.query)]
    field = window.sort_field
    if field is not None:
        users.sort(key=lambda user: str(user.get(field) or ""), reverse=window.descending)
    elif window.descending:
        users.reverse()
    shown = [users[place] for place in places(state, window, total=len(users))]
    page = PageSource(
        template="/users",
        key="users",
        ids=lambda: [str(user["user_id"]) for user in shown],
        records=lambda: shown,
        rendered=None,
        offset=window.offset,
        total=len(users),
    )
    answer = page_answer(state, page)
    await tell_hook(state, page)
    return answer


async def read_user(state: SandboxState, call: Call) -> Answer:
    """`GET /users/{user_id}`."""
    user_id = call.path["user_id"]
    user = next((user for user in state.tables.users if user["user_id"] == user_id), None)
    if user is None:
        raise not_found(resource="users", resource_id=user_id)
    return data_answer(user, pretty=state.settings.pretty)


TABLE: Final = (
    Operation(
        method="POST",
        template="/users/actions/login",
        handler=login,
        access=Access.OPEN,
        interfaces=ONLY_ENTERPRISE,
    ),
    Operation(
        method="POST",
        template="/users/actions/sso-login",
        handler=sso_login,
        access=Access.OPEN,
        interfaces=ONLY_ENTERPRISE,
    ),
    Operation(
        method="POST",
        template="/users/actions/logout",
        handler=logout,
        access=Access.USER,
        interfaces=ONLY_ENTERPRISE,
    ),
    Operation(
        method="POST",
        template="/users/actions/verify-auth-token",
        handler=verify_auth_token,
        access=Access.USER,
        interfaces=ONLY_ENTERPRISE,
    ),
    Operation(
        method="GET",
        template="/users",
        handler=list_users,
        access=Access.USER,
        interfaces=ONLY_ENTERPRISE,
        query_names=LIST_NAMES + FILTERS,
    ),
    Operation(
        method="GET",
        template="/users/{user_id}",
        handler=read_user,
        access=Access.USER,
        interfaces=ONLY_ENTERPRISE,
    ),
)


def _known_application(state: SandboxState, application: str) -> None:
    if application not in state.user_applications:
        raise bad_request(InvalidParam(name="user_external_application_id", reason="not_found", value=application))


def _logged_in(state: SandboxState, login_name: str) -> Answer:
    settings = state.settings
    users = [api_user()] if login_name == USER_LOGIN else state.tables.users  # which can be many
    user = next((user for user in users if user["login"] == login_name), None) or {"login": login_name}
    token = state.user_tokens.issue(
        str(user.get("user_id", login_name)), lifetime=settings.token_lifetime, reuse_margin=settings.reuse_tokens
    )
    valid_to = state.local(token.ends) if state.overrides.valid_to is None else state.overrides.valid_to
    data = {"bearer_token": token.value, "valid_to": valid_to, "user": user}
    return data_answer(data, status=settings.login_status, pretty=settings.pretty)


def _passes(user: JsonObject, query: Query) -> bool:
    for name in FILTERS:
        wanted = query.one(name)
        if wanted is not None and str(user.get(name) or "").casefold() != wanted.casefold():
            return False
    return True
