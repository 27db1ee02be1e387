# pyright: reportReturnType=false
"""`client.users`: the users of the enterprise interface, and the low-level forms of their logins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.resources.declare import Paging, Resource, gets, lists, posts

if TYPE_CHECKING:
    from carecloud_async.models import User, UserLogin, UserRole


class Users(Resource, call="users"):
    """Users of the project. `login`, `sso_login` and `logout` here concern tokens of others, never the client's own."""

    @lists("getUsers", "/users", id_field="user_id", interfaces=ENTERPRISE_ONLY)
    def list(
        self,
        *,
        email: str | None = None,
        phone: str | None = None,
        login: str | None = None,
        first_name: str | None = None,
        last_name: str | None = None,
        store_id: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[User]:
        """List users that match all filters (`GET /users`). Enterprise API only.

        Off until an administrator of the project turns it on.

        Args:
            email: the exact e-mail.
            phone: the phone number with its international prefix.
            login: the login name.
            store_id: id of the user's store.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @gets("getUser", "/users/{user_id}", interfaces=ENTERPRISE_ONLY)
    async def get(self, user_id: str) -> User:
        """Return one user (`GET /users/{user_id}`). Enterprise API only."""

    @posts(
        "postUserLogin",
        "/users/actions/login",
        interfaces=ENTERPRISE_ONLY,
        safe_to_repeat=True,
        authorized=False,
        takes_credentials=True,
    )
    async def login(self, *, user_external_application_id: str, login: str, password: str) -> UserLogin:
        """Log a user in and return the token (`POST /users/actions/login`); the client does not use it."""

    @posts(
        "postUserSsoLogin",
        "/users/actions/sso-login",
        interfaces=ENTERPRISE_ONLY,
        authorized=False,
        takes_credentials=True,
    )
    async def sso_login(self, *, user_external_application_id: str, sso_token: str) -> UserLogin:
        """Exchange a single sign-on token (`POST /users/actions/sso-login`); the client does not use the result.

        Never repeated after a lost answer: a token that may be used once would be refused the second time.
        """

    @posts("postUserLogout", "/users/actions/logout", interfaces=ENTERPRISE_ONLY, safe_to_repeat=True)
    async def logout(self, *, user_external_application_id: str, bearer_token: str) -> None:
        """End a user's token (`POST /users/actions/logout`). `client.logout()` ends the client's own."""

    @posts(
        "postUserVerifyAuthToken",
        "/users/actions/verify-auth-token",
        unwrap="user_id",
        interfaces=ENTERPRISE_ONLY,
    )
    async def verify_auth_token(self, *, auth_token: str) -> str:
        """Return the id of the user whom an authentication token belongs to (`POST /users/actions/verify-auth-token`).

        Never repeated after a lost answer: a token that may be used once would be refused the second time.

        Raises:
            BadRequestError: the token is unknown or has ended.
        """


class UserRoles(Resource, call="user_roles"):
    """The roles of users."""

    @lists("getUserRoles", "/user-roles", id_field="user_role_id", interfaces=ENTERPRISE_ONLY)
    def list(self, **paging: Unpack[Paging]) -> Listing[UserRole]:
        """List user roles (`GET /user-roles`). Enterprise API only.

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getUserRole", "/user-roles/{user_role_id}", interfaces=ENTERPRISE_ONLY)
    async def get(self, user_role_id: str) -> UserRole:
        """Return the user role with this id (`GET /user-roles/{user_role_id}`). Enterprise API only."""
