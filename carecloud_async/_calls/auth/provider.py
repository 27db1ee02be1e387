"""AuthProvider: the abstract base of every identity, and the types for sending its logins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from carecloud_async._base.project import Interface
from carecloud_async._calls.auth.secret import Secret, resolve_secret
from carecloud_async._calls.auth.secret import digest as digest
from carecloud_async._calls.auth.token import Token
from carecloud_async.errors import ApiError, ConfigurationError, SessionExpiredError

__all__ = ["AuthProvider", "Send", "digest"]


class Send(Protocol):
    """Sends one request of a login, with no token unless `bearer` is given; retries it if that is safe."""

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        path_params: Mapping[str, str] | None = None,
        bearer: str | None = None,
    ) -> dict[str, Any]:
        """Return the `data` of the response.

        Args:
            path: the operation's path template, such as `/tokens/{token_id}/actions/login`.
            json: the body; no body without it.
            path_params: the values of the placeholders.
            bearer: a token for the `Authorization` header; without it, the request carries no token.
        """
        ...


class Login(Send, Protocol):
    """Sends the requests of one login or logout, and records when the last answered one was sent.

    Attributes:
        sent_at: when the last answered request was sent, on the monotonic clock; `None` before the first answer.
        server_date: the `Date` of the last answer, in UTC; `None` if it is missing or unreadable.
    """

    sent_at: float | None
    server_date: datetime | None


class AuthProvider(ABC):
    """An identity: frozen, comparable, without state. Subclass it for single sign-on, a vault, a test.

    The client keeps the token, decides when to renew it and lets one caller at a time do so. A subclass is a
    plain class, an attrs class or a dataclass; if views are made of it (`acting_as`), equal identities should compare
    equal. For a password out of a vault, a callable is enough:

    ```python
    EnterpriseCredentials(external_application_id=…, login=…, password=read_from_vault)  # sync or async
    ```

    A subclass is for the rest. This one reads everything from a vault, each time a login is due, so that a rotated
    secret is picked up without a restart. `interface` and `identity_key` are properties, as in `AuthProvider`, so
    that mypy and pyright accept them:

    ```python
    from attrs import frozen

    from carecloud_async import AuthProvider, Send, Token, digest


    @frozen
    class VaultUser(AuthProvider):
        vault: Vault  # anything with `async def read(path: str) -> dict[str, str]`
        path: str

        @property
        def interface(self) -> str:
            return "enterprise"

        @property
        def identity_key(self) -> str:
            return digest("vault", self.path)

        async def obtain(self, send: Send, previous: Token | None) -> Token:
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

        async def credentials_fingerprint(self) -> str:
            return digest((await self.vault.read(self.path))["password"])
    ```
    """

    __slots__ = ()

    #: Whether a new token can be obtained once the server rejected the last one.
    renewable: bool = True
    #: Whether `logout()` ends the identity until `login()` is called again.
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
        """The key of the device whose current token ends when a new one is created; `None` without a device."""
        return None

    @property
    def secret(self) -> Secret | None:
        """The secret that a caller must know to get the token of an equal identity, or the callable that fetches it.

        `None` if `identity_key` alone tells whose token it is.
        """
        return None

    @property
    def stored(self) -> bool:
        """Whether the client's token store keeps this identity's tokens, for other processes and after a restart."""
        return self.renewable

    @abstractmethod
    async def obtain(self, send: Send, previous: Token | None) -> Token:
        """Log in.

        Args:
            send: sends a request to the project.
            previous: the last token of this identity that the server has not rejected, if any.

        Raises:
            CareCloudError: the login failed. `ApiError`s with a 4xx status other than 408, 413, 414, 425, 429 and 431
                are remembered as refused credentials.
        """

    async def revoke(self, send: Send, token: Token) -> None:  # noqa: B027  (optional)
        """Log out at the server. By default nothing is sent and the token is only discarded."""

    async def credentials_fingerprint(self) -> str | None:
        """Return a value that changes when the credentials do, for identities that fetch theirs at each login.

        It is called while a refused login is remembered: credentials other than the refused ones are tried at once.
        `None` for credentials that do not change by themselves. By default it is a digest of `secret`, if that is
        fetched.
        """
        secret = self.secret
        return digest(await resolve_secret(secret)) if callable(secret) else None


def require_instance(kind: type, *, example: str) -> Callable[[Any, Any, Any], None]:
    """Return an attrs validator: the attribute of an identity must be an object of `kind`.

    Its `ConfigurationError` says what to write, also if the class itself was given.
    """

    def validate(instance: Any, attribute: Any, value: Any) -> None:
        if isinstance(value, kind):
            return
        given = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        where = f"{type(instance).__name__}: {attribute.name}"
        raise ConfigurationError(f"{where} must be a {kind.__name__} object, not {given}: write {example}")

    return validate


def session_over(
    hint: str = "the session is over at the server: ask the customer to log in again",
) -> SessionExpiredError:
    """Make the error of a session that has ended."""
    return SessionExpiredError(status=401, method="", path="", hint=hint)


def session_lost(error: ApiError) -> SessionExpiredError:
    """Make the error of a session that has ended and whose new login was refused.

    Args:
        error: the refusal of the login.
    """
    return SessionExpiredError(
        status=error.status,
        method=error.method,
        path=error.path,
        exception=error.exception,
        request_id=error.request_id,
        hint="the session is over and cannot be renewed: ask the customer to log in again",
    )
