"""Users of the enterprise interface: by password, and by single sign-on."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from typing import Any

from attrs import Factory, field, frozen

from carecloud_async._base.codec.answers import structure
from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.secret_text import secret_text
from carecloud_async._calls.auth.provider import AuthProvider, Send, digest
from carecloud_async._calls.auth.secret import (
    Secret,
    masked,
    require_secret,
    require_text,
    resolve_secret,
    secret_setting,
)
from carecloud_async._calls.auth.token import Token, read_token_value

__all__ = ["EnterpriseCredentials", "SsoCredentials"]


class _EnterpriseUser(AuthProvider):
    __slots__ = ()

    external_application_id: str

    @property
    def interface(self) -> Interface:
        return Interface.ENTERPRISE

    @property
    def application_id(self) -> str:
        return self.external_application_id

    @abstractmethod
    async def _login_request(self) -> tuple[str, dict[str, Any]]:
        """Return the action below `/users/actions/`, and its body without the application; secrets print as stars."""

    async def obtain(self, send: Send, previous: Token | None) -> Token:
        """Log the user in; see `AuthProvider.obtain`."""
        del previous  # an enterprise login does not depend on the previous token
        action, body = await self._login_request()
        body = {"user_external_application_id": self.external_application_id, **body}
        return user_token(await send("POST", f"/users/actions/{action}", json=body))

    async def revoke(self, send: Send, token: Token) -> None:
        await send(
            "POST",
            "/users/actions/logout",
            json={"user_external_application_id": self.external_application_id, "bearer_token": token.value},
            bearer=token.value,
        )


@frozen(kw_only=True)
class EnterpriseCredentials(_EnterpriseUser):
    """A user with a password (`POST /users/actions/login`).

    Attributes:
        external_application_id: the id of the external application, from the CareCloud administrator.
        login: the user's login name.
        password: the password, or a sync or async callable that returns it for each login, and before a stored token is
            used: a rotated password is then picked up without a restart.
    """

    external_application_id: str = field(validator=require_text)
    login: str = field(converter=secret_text, validator=require_text, repr=False)
    password: Secret = field(converter=secret_setting, validator=require_secret, repr=masked)

    @property
    def identity_key(self) -> str:
        """See `AuthProvider.identity_key`; the password is not part of it."""
        return digest("user", self.external_application_id, self.login)

    @property
    def secret(self) -> Secret | None:
        """The password, which is required to use this user's stored token."""
        return self.password

    async def _login_request(self) -> tuple[str, dict[str, Any]]:
        return "login", {"login": self.login, "password": await resolve_secret(self.password)}


@frozen(kw_only=True)
class SsoCredentials(_EnterpriseUser):
    """A user with a single sign-on token of CareCloud (`POST /users/actions/sso-login`).

    Attributes:
        external_application_id: the id of the external application.
        sso_token: the single sign-on token, or a sync or async callable that fetches one for each login.
        subject: with a callable, any name that distinguishes this user from others of the application (not sent). Only
            with it, equal objects are one identity whose token is shared and stored: a callable does not tell whose
            token it fetches. Without it, each object has a token of its own, which the token store does not keep.
    """

    external_application_id: str = field(validator=require_text)
    sso_token: Secret = field(converter=secret_setting, validator=require_secret, repr=masked)
    subject: str = field(default="", repr=False)
    #: A random name, if neither token nor subject tells who the user is; else empty.
    _own_name: str = field(init=False, repr=False, default=Factory(lambda self: _random_name(self), takes_self=True))

    @property
    def identity_key(self) -> str:
        """See `AuthProvider.identity_key`: the digest of a fixed token; for a callable `subject`, or this object."""
        user = self.sso_token if isinstance(self.sso_token, str) else self._own_name
        return digest("sso", self.external_application_id, self.subject, user)

    @property
    def stored(self) -> bool:
        """See `AuthProvider.stored`: false for a callable without `subject`."""
        return not self._own_name

    async def _login_request(self) -> tuple[str, dict[str, Any]]:
        return "sso-login", {"sso_token": await resolve_secret(self.sso_token)}

    async def credentials_fingerprint(self) -> str | None:
        """Return a digest of the token that the callable returns now."""
        return digest(await resolve_secret(self.sso_token)) if callable(self.sso_token) else None


def _random_name(credentials: SsoCredentials) -> str:
    if credentials.subject or isinstance(credentials.sso_token, str):
        return ""
    return secrets.token_hex(16)


def user_token(data: dict[str, Any]) -> Token:
    """Read the response of a user's login.

    Raises:
        ResponseError: it holds no token.
    """
    from carecloud_async.models import User  # a model, imported when one is read

    value = read_token_value(data, "bearer_token", where="the login's response")
    valid_to = data.get("valid_to")
    user = data.get("user")
    return Token(
        value,
        valid_to=valid_to if isinstance(valid_to, str) else "",
        user=structure(user, User) if isinstance(user, dict) else None,
    )
