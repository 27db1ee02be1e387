# pyright: reportReturnType=false
"""`client.tokens`: operations on device tokens of the customer interface.

A client's own token is created, and bound to a customer, by its identity (`DeviceToken`, `CustomerSession`); the
methods here that do so take the token as an argument. The others use the client's own token by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._calls.auth.token import Token
from carecloud_async._calls.auth.tokens import UNAUTHORIZED
from carecloud_async._calls.call.operation import CUSTOMER_ONLY, CallRequest
from carecloud_async.errors import AuthenticationError, ConfigurationError
from carecloud_async.resources.declare import Resource, gets, posts, puts

if TYPE_CHECKING:
    from carecloud_async._calls.auth.customer import Device, DeviceSetup
    from carecloud_async.models import AuthenticationToken, SocialNetworkCredentialsInput

T = TypeVar("T")

_LOGOUT = "postTokenLogout"


class Tokens(Resource, call="tokens"):
    """Device tokens of the customer interface."""

    @posts("postToken", "/tokens", unwrap="token_id", interfaces=CUSTOMER_ONLY, safe_to_repeat=True, authorized=False)
    async def create(
        self, *, device: Device, setup: DeviceSetup, external_application_id: str, push_token: str | None = None
    ) -> str:
        """Create a device token and return it (`POST /tokens`). The device's previous token becomes invalid."""

    @puts("putToken", "/tokens/{token_id}", interfaces=CUSTOMER_ONLY)
    async def replace(self, *, setup: DeviceSetup, push_token: str | None = None, token_id: str | None = None) -> None:
        """Change language, permissions and push token of an installation (`PUT /tokens/{token_id}`).

        Args:
            setup: the new setup, whole.
            push_token: the new push notification token.
            token_id: the device token; the client's own if left out.
        """

    @posts(
        "postTokenLogin",
        "/tokens/{token_id}/actions/login",
        unwrap="customer_id",
        interfaces=CUSTOMER_ONLY,
        safe_to_repeat=True,
    )
    async def login(self, token_id: str, *, login_type: str, login_value: str, password: str) -> str:
        """Bind a device token to a customer and return the customer's id (`POST /tokens/{token_id}/actions/login`)."""

    @posts(
        "postTokenAuthTokenLogin",
        "/tokens/{token_id}/actions/authentication-token-login",
        unwrap="customer_id",
        interfaces=CUSTOMER_ONLY,
    )
    async def authentication_token_login(
        self, token_id: str, *, application_id: str, token: str, token_request_id: str
    ) -> str:
        """Bind a device token by another application's authentication token and return the customer's id."""

    @posts(
        "postTokenSocialLogin",
        "/tokens/{token_id}/actions/social-network-login",
        unwrap="customer_id",
        interfaces=CUSTOMER_ONLY,
        safe_to_repeat=True,
    )
    async def social_network_login(
        self, token_id: str, *, social_network_credentials: SocialNetworkCredentialsInput
    ) -> str:
        """Bind a device token by a social network's login and return the customer's id."""

    @posts(
        "postTokenTestCustomerLogin",
        "/tokens/{token_id}/actions/login-test-customer",
        unwrap="customer_id",
        interfaces=CUSTOMER_ONLY,
        safe_to_repeat=True,
    )
    async def login_test_customer(self, token_id: str) -> str:
        """Bind a device token to the project's test customer and return the customer's id."""

    @posts(_LOGOUT, "/tokens/{token_id}/actions/logout", safe_to_repeat=True)
    async def logout(self, token_id: str) -> None:
        """Unbind a device token from its customer (`POST /tokens/{token_id}/actions/logout`)."""

    @posts(
        "postTokenSendPasswordSetup", "/tokens/{token_id}/actions/send-password-setup-email", interfaces=CUSTOMER_ONLY
    )
    async def send_password_setup_email(
        self,
        *,
        communication_channel_id: str | None = None,
        recipient: str | None = None,
        email: str | None = None,
        token_id: str | None = None,
    ) -> None:
        """Send a customer the link to set a password (`POST /tokens/{token_id}/actions/send-password-setup-email`).

        Args:
            communication_channel_id: the channel; then `recipient` says where to.
            recipient: an e-mail or phone number, as the channel wants it.
            email: the older way, an e-mail address alone.
            token_id: the device token; the client's own if left out.
        """

    @gets(
        "getTokenAuthentication",
        "/tokens/{token_id}/actions/auth-token",
        interfaces=CUSTOMER_ONLY,
        safe_to_repeat=False,
    )
    async def auth_token(
        self, *, external_application_id: str, token_type: int = 1, token_id: str | None = None
    ) -> AuthenticationToken:
        """Issue a token that hands the customer over to another application (`GET …/actions/auth-token`).

        Each call issues a new one and is never repeated.

        Args:
            external_application_id: the application that will use it.
            token_type: the API's kind of token, 1 or 2.
            token_id: the device token; the client's own if left out.
        """

    async def _call(self, request: CallRequest[T]) -> T:
        """Make a call; a token in its path must be the one in the header."""
        operation, path_params = request.operation, request.path_params or {}

        async def send(token_id: str | None) -> T:
            token_id = conceal(token_id)
            in_path = path_params if token_id is None else {"token_id": token_id}
            return await self._caller.call(evolve(request, path_params=in_path, bearer=token_id))

        token_id = path_params.get("token_id", "")
        tokens = self._caller.tokens
        if token_id is not None:
            result = await send(token_id or None)
            if operation.operation_id == _LOGOUT and tokens is not None:
                await tokens.forget(Token(token_id))
            return result
        if tokens is None:
            raise ConfigurationError("this client has no token of its own: name one in token_id=")
        # The path changes with the token: after a 401 the whole call is made again.
        token, replayed = await tokens.get(), False
        while True:
            try:
                return await send(token.value)
            except AuthenticationError as error:
                if error.status != UNAUTHORIZED:
                    raise
                another = await tokens.after_401(token, replayed=replayed)
                if another is None:
                    raise
                token, replayed = another, True
