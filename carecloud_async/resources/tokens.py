"""`client.tokens`: what can be done with a device token of the customer interface.

Creating a client's own token and binding it to a customer is the business of its identity (`DeviceToken`,
`CustomerSession`); what does so here takes the token by name. The rest acts on the client's own token unless told
otherwise.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import asdict

from carecloud_async import codec
from carecloud_async.auth.device import Device, DeviceSetup
from carecloud_async.auth.manager import TokenManager
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.operation import BOTH, CUSTOMER_ONLY, Operation, table
from carecloud_async.errors import AuthenticationError
from carecloud_async.models import SocialNetworkCredentialsInput
from carecloud_async.models.token import AuthenticationToken
from carecloud_async.resources.bodies import drop_unset, no_content


def _action(operation_id: str, name: str, method: str = "POST", **more: Any) -> Operation:
    return Operation(
        operation_id=operation_id,
        method=method,
        path=f"/tokens/{{token_id}}/actions/{name}",
        call="tokens." + name.replace("-", "_"),
        **{"interfaces": CUSTOMER_ONLY, **more},
    )


CREATE = Operation(
    operation_id="postToken",
    method="POST",
    path="/tokens",
    call="tokens.create",
    interfaces=CUSTOMER_ONLY,
    safe_to_repeat=True,
    authorized=False,
)
REPLACE = Operation(
    operation_id="putToken", method="PUT", path="/tokens/{token_id}", call="tokens.replace", interfaces=CUSTOMER_ONLY
)
LOGIN = _action("postTokenLogin", "login", safe_to_repeat=True)
LOGOUT = _action("postTokenLogout", "logout", safe_to_repeat=True, interfaces=BOTH)
AUTHENTICATION_TOKEN_LOGIN = _action("postTokenAuthTokenLogin", "authentication-token-login")
SOCIAL_NETWORK_LOGIN = _action("postTokenSocialLogin", "social-network-login", safe_to_repeat=True)
SEND_PASSWORD_SETUP_EMAIL = _action("postTokenSendPasswordSetup", "send-password-setup-email")
AUTH_TOKEN = _action(
    "getTokenAuthentication",
    "auth-token",
    "GET",
    parameters=("external_application_id", "token_type"),
    safe_to_repeat=False,
)
LOGIN_TEST_CUSTOMER = _action("postTokenTestCustomerLogin", "login-test-customer", safe_to_repeat=True)

OPERATIONS = table(
    (
        CREATE,
        REPLACE,
        LOGIN,
        LOGOUT,
        AUTHENTICATION_TOKEN_LOGIN,
        SOCIAL_NETWORK_LOGIN,
        SEND_PASSWORD_SETUP_EMAIL,
        AUTH_TOKEN,
        LOGIN_TEST_CUSTOMER,
    )
)


class Tokens:
    """Device tokens.

    Args:
        caller: makes the calls.
        manager: the client's own token.
    """

    def __init__(self, caller: Caller, *, manager: TokenManager) -> None:
        self._caller = caller
        self._manager = manager

    async def create(
        self, *, device: Device, setup: DeviceSetup, external_application_id: str, push_token: str | None = None
    ) -> str:
        """Create a device token and return it (`POST /tokens`). It kills the device's last one."""
        body = {
            "device": asdict(device),
            "setup": asdict(setup),
            "external_application_id": external_application_id,
            **drop_unset(push_token=push_token),
        }
        data = await self._caller.call(CREATE, decode=codec.data, json=body)
        return self._caller.text(CREATE, data, "token_id")

    async def replace(self, *, setup: DeviceSetup, push_token: str | None = None, token_id: str | None = None) -> None:
        """Change language, permissions and push token of an installation (`PUT /tokens/{token_id}`).

        Args:
            setup: the new setup, whole.
            push_token: the new push notification token.
            token_id: the device token; the client's own if left out.
        """
        body = {"setup": asdict(setup), **drop_unset(push_token=push_token)}
        await self._act(REPLACE, token_id, decode=no_content, json=body)

    async def login(self, token_id: str, *, login_type: str, login_value: str, password: str) -> str:
        """Bind a device token to a customer and return the customer's id (`POST /tokens/{token_id}/actions/login`)."""
        body = {"login_type": login_type, "login_value": login_value, "password": password}
        return await self._log_in(LOGIN, token_id, body)

    async def authentication_token_login(
        self, token_id: str, *, application_id: str, token: str, token_request_id: str
    ) -> str:
        """Bind a device token by another application's authentication token and return the customer's id."""
        body = {"application_id": application_id, "token": token, "token_request_id": token_request_id}
        return await self._log_in(AUTHENTICATION_TOKEN_LOGIN, token_id, body)

    async def social_network_login(
        self, token_id: str, *, social_network_credentials: SocialNetworkCredentialsInput
    ) -> str:
        """Bind a device token by a social network's login and return the customer's id."""
        body = {"social_network_credentials": social_network_credentials}
        return await self._log_in(SOCIAL_NETWORK_LOGIN, token_id, body)

    async def login_test_customer(self, token_id: str) -> str:
        """Bind a device token to the project's test customer and return the customer's id."""
        return await self._log_in(LOGIN_TEST_CUSTOMER, token_id, None)

    async def logout(self, token_id: str) -> None:
        """Unbind a device token from its customer (`POST /tokens/{token_id}/actions/logout`)."""
        await self._act(LOGOUT, token_id, decode=no_content)

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
        body = drop_unset(communication_channel_id=communication_channel_id, recipient=recipient, email=email)
        await self._act(SEND_PASSWORD_SETUP_EMAIL, token_id, decode=no_content, json=body)

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
        issued: AuthenticationToken = await self._act(
            AUTH_TOKEN,
            token_id,
            decode=partial(codec.record, into=AuthenticationToken),
            params={"external_application_id": external_application_id, "token_type": token_type},
        )
        return issued

    async def _log_in(self, operation: Operation, token_id: str, body: Any) -> str:
        data = await self._act(operation, token_id, decode=codec.data, json=body)
        return self._caller.text(operation, data, "customer_id")

    async def _act(self, operation: Operation, token_id: str | None, **call: Any) -> Any:
        """Call an operation that names the token in its path, where it must be the one in the header."""
        if token_id is not None:
            return await self._send(operation, token_id, **call)
        token = await self._manager.get()
        try:
            return await self._send(operation, token.value, **call)
        except AuthenticationError as error:
            if error.status != 401 or self._manager.renewal_is_useless(token):
                raise
        # Here and not in the auth flow: the path changes with the token.
        return await self._send(operation, (await self._manager.get(rejected=token)).value, **call)

    async def _send(self, operation: Operation, token_id: str, **call: Any) -> Any:
        return await self._caller.call(operation, path_params={"token_id": token_id}, bearer=token_id, **call)
