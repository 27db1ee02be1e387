"""AuthProvider: who calls. The abstract base of every identity."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from carecloud_async.auth.token import Token
from carecloud_async.project import Interface


class Send(Protocol):
    """Sends one request without a token of its own, as a login must; repeats it where that is safe."""

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        path_params: Mapping[str, str] | None = None,
        bearer: str | None = None,
    ) -> dict[str, Any]:
        """Return what the answer holds under `data`.

        Args:
            method: the HTTP verb.
            path: the operation's path template, such as `/tokens/{token_id}/actions/login`.
            json: the body.
            path_params: the values of the placeholders.
            bearer: a token for the `Authorization` header; none is sent without it.
        """
        ...


class AuthProvider(ABC):
    """An identity: frozen, comparable, without state. Subclass it for single sign-on, a vault, a test.

    The client keeps the token, decides when a new one is due and lets one caller at a time ask for it. A subclass is a
    plain class, an attrs class or a dataclass; if views are made of it (`acting_as`), equal identities should compare
    equal. For a password out of a vault, a callable is enough:

    ```python
    EnterpriseCredentials(external_application_id=…, login=…, password=read_from_vault)  # sync or async
    ```

    A subclass is for the rest. This one reads everything from a vault, each time a login is due, so that a rotated
    secret is picked up without a restart:

    ```python
    from attrs import frozen

    from carecloud_async import AuthProvider, Token
    from carecloud_async.auth.provider import digest


    @frozen
    class VaultUser(AuthProvider):
        vault: Vault  # anything with `async def read(path) -> dict`
        path: str

        interface = "enterprise"

        @property
        def identity_key(self):
            return digest("vault", self.path)

        async def obtain(self, send, previous):
            secret = await self.vault.read(self.path)
            data = await send(
                "POST",
                "/users/actions/login",
                json={
                    "user_external_application_id": secret["application"],
                    "login": secret["login"],
                    "password": secret["password"],
                },
            )
            return Token(data["bearer_token"], valid_to=data["valid_to"])

        async def secret_mark(self):
            return digest((await self.vault.read(self.path))["password"])
    ```
    """

    __slots__ = ()

    #: Whether a new token can be obtained once the server rejected the last one.
    renewable: bool = True
    #: Whether `logout()` ends the identity until somebody calls `login()` again.
    requires_relogin: bool = False

    @property
    @abstractmethod
    def interface(self) -> Interface | str:
        """The API that this identity may use, `"enterprise"` or `"customer"`."""

    @property
    @abstractmethod
    def identity_key(self) -> str:
        """A digest that is equal for equal identities; holds no secret and no e-mail. See `digest`."""

    @property
    def application_id(self) -> str:
        """The external application, part of the key in a token store."""
        return "-"

    @property
    def device_key(self) -> str | None:
        """The device identity that obtaining a token would take over, if any."""
        return None

    @property
    def secret(self) -> str | None:
        """What a holder of this identity must know before a stored token is handed to it, if anything."""
        return None

    @abstractmethod
    async def obtain(self, send: Send, previous: Token | None) -> Token:
        """Log in.

        Args:
            send: sends a request to the project.
            previous: the last token of this identity that the server has not rejected, if any.

        Raises:
            CareCloudError: the login failed. `ApiError`s with a 4xx status are remembered as refused credentials.
        """

    async def revoke(self, send: Send, token: Token) -> None:  # noqa: B027  (optional)
        """Log out at the server. Without a logout of its own, an identity only forgets its token."""

    async def secret_mark(self) -> str | None:
        """Return something that changes when the credentials do, for identities that fetch theirs on each login.

        Asked while a refused login is remembered: what is other than at the refusal is tried at once. `None` for
        credentials that do not change by themselves.
        """
        return None


def digest(*parts: str) -> str:
    """Digest what names an identity, for `AuthProvider.identity_key`."""
    joined = "\x1f".join(parts)
    return hashlib.sha256(joined.encode()).hexdigest()[:32]
