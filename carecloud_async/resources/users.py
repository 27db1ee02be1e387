"""`client.users`: the users of the enterprise interface, and the low-level forms of their logins."""

from __future__ import annotations

from functools import partial

from carecloud_async import codec
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.operation import ENTERPRISE_ONLY, PAGING, Operation, table
from carecloud_async.models import User, UserLogin
from carecloud_async.paging.listing import Listing, listing
from carecloud_async.resources.bodies import no_content

LIST = Operation(
    operation_id="getUsers",
    method="GET",
    path="/users",
    call="users.list",
    parameters=(*PAGING, "email", "phone", "login", "first_name", "last_name", "store_id"),
    interfaces=ENTERPRISE_ONLY,
    paged=True,
    result_key="users",
    id_field="user_id",
)
GET = Operation(
    operation_id="getUser", method="GET", path="/users/{user_id}", call="users.get", interfaces=ENTERPRISE_ONLY
)
LOGIN = Operation(
    operation_id="postUserLogin",
    method="POST",
    path="/users/actions/login",
    call="users.login",
    interfaces=ENTERPRISE_ONLY,
    safe_to_repeat=True,
    authorized=False,
)
SSO_LOGIN = Operation(
    operation_id="postUserSsoLogin",
    method="POST",
    path="/users/actions/sso-login",
    call="users.sso_login",
    interfaces=ENTERPRISE_ONLY,
    safe_to_repeat=True,
    authorized=False,
)
LOGOUT = Operation(
    operation_id="postUserLogout",
    method="POST",
    path="/users/actions/logout",
    call="users.logout",
    interfaces=ENTERPRISE_ONLY,
    safe_to_repeat=True,
)
VERIFY_AUTH_TOKEN = Operation(
    operation_id="postUserVerifyAuthToken",
    method="POST",
    path="/users/actions/verify-auth-token",
    call="users.verify_auth_token",
    interfaces=ENTERPRISE_ONLY,
    safe_to_repeat=True,
)

OPERATIONS = table((LIST, GET, LOGIN, SSO_LOGIN, LOGOUT, VERIFY_AUTH_TOKEN))


class Users:
    """Users of the project. `login`, `sso_login` and `logout` here concern tokens of others, never the client's own."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(
        self,
        *,
        count: int = 100,
        offset: int = 0,
        sort_field: str | None = None,
        sort_direction: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        login: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        store_id: str | None = None,
    ) -> Listing[User]:
        """List users that match all filters (`GET /users`); see `Customers.list` for paging and sorting."""
        return listing(
            self._caller,
            LIST,
            User,
            count=count,
            offset=offset,
            sort_field=sort_field,
            sort_direction=sort_direction,
            email=email,
            phone=phone,
            login=login,
            first_name=first_name,
            last_name=last_name,
            store_id=store_id,
        )

    async def get(self, user_id: str) -> User:
        """Return one user (`GET /users/{user_id}`).

        Raises:
            NotFoundError: there is no such user.
        """
        return await self._caller.call(GET, decode=partial(codec.record, into=User), path_params={"user_id": user_id})

    async def login(self, *, user_external_application_id: str, login: str, password: str) -> UserLogin:
        """Log a user in and return the token (`POST /users/actions/login`); the client does not use it."""
        body = {
            "user_external_application_id": user_external_application_id,
            "login": login,
            "password": password,
        }
        return await self._caller.call(LOGIN, decode=partial(codec.record, into=UserLogin), json=body)

    async def sso_login(self, *, user_external_application_id: str, sso_token: str) -> UserLogin:
        """Exchange a single sign-on token (`POST /users/actions/sso-login`); the client does not use the result."""
        body = {"user_external_application_id": user_external_application_id, "sso_token": sso_token}
        return await self._caller.call(SSO_LOGIN, decode=partial(codec.record, into=UserLogin), json=body)

    async def logout(self, *, user_external_application_id: str, bearer_token: str) -> None:
        """End a user's token (`POST /users/actions/logout`). `client.logout()` ends the client's own."""
        body = {"user_external_application_id": user_external_application_id, "bearer_token": bearer_token}
        await self._caller.call(LOGOUT, decode=no_content, json=body)

    async def verify_auth_token(self, *, auth_token: str) -> str:
        """Return the id of the user whom an authentication token belongs to (`POST /users/actions/verify-auth-token`).

        Raises:
            BadRequestError: the token is unknown or has ended.
        """
        data = await self._caller.call(VERIFY_AUTH_TOKEN, decode=codec.data, json={"auth_token": auth_token})
        return self._caller.text(VERIFY_AUTH_TOKEN, data, "user_id")
