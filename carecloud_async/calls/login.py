"""Build token managers: connect each identity's login to the HTTP client. Logins are calls without a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from carecloud_async import codec
from carecloud_async.auth.manager import TokenManager
from carecloud_async.auth.provider import AuthProvider, LoginReply
from carecloud_async.auth.renewal import StoredTokenIndex, TokenRefresher
from carecloud_async.auth.secret import digest
from carecloud_async.auth.stores.base import TokenStore
from carecloud_async.auth.token import RenewalWindows
from carecloud_async.calls.call_request import CallRequest
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.context import ClientContext, ViewOptions
from carecloud_async.calls.operation import Operation
from carecloud_async.calls.wire import server_date
from carecloud_async.project import Interface

#: The ends of the paths of logins by a token that may be valid only once.
_BY_TOKEN = ("/actions/sso-login", "/actions/authentication-token-login")


class LoginSender:
    """Sends the requests of logins; see `auth.provider.SendLogin`.

    Args:
        caller: a caller for the identity's interface, without a token manager.
    """

    def __init__(self, caller: Caller) -> None:
        once = evolve(caller.options, retry=evolve(caller.options.retry, attempts=1))
        self._repeating = caller
        self._once = caller.with_options(once, None)

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None,
        path_params: Mapping[str, str] | None,
        bearer: str | None,
        retry: bool,
    ) -> LoginReply:
        """See `SendLogin`. Logins and new device tokens may be repeated, except by a token that may be used once.

        The server would refuse the used token, and the user's or customer's login would fail.
        """
        operation = Operation(
            operation_id="",
            method=method,
            path="/" + path.lstrip("/"),
            call="",
            safe_to_repeat=not path.endswith(_BY_TOKEN),
            authorized=False,
        )
        caller = self._repeating if retry else self._once
        answer = await caller.execute(
            CallRequest(operation, decode=_data, path_params=path_params, json=json, bearer=bearer, login=True)
        )
        response = answer.response
        return LoginReply(data=answer.data, sent_at=response.sent_at, server_date=server_date(response.headers))


def _data(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    data = codec.data(body)
    if not isinstance(data, dict):
        raise codec.Malformed("data is not an object")
    return data


@frozen(kw_only=True)
class ManagerFactory:
    """The common parts of all identities of one client.

    Attributes:
        context: sends the logins.
        options: how they are sent.
        store: keeps the tokens.
        windows: when they are renewed.
    """

    context: ClientContext
    options: ViewOptions
    store: TokenStore
    windows: RenewalWindows
    _index: StoredTokenIndex = field(factory=StoredTokenIndex, init=False, eq=False, repr=False)
    # The logins of all identities are sent in the same way: one sender for each interface.
    _senders: dict[Interface, LoginSender] = field(factory=dict, init=False, eq=False, repr=False)

    def make(self, provider: AuthProvider) -> TokenManager:
        """Return a manager for one identity."""
        context = self.context
        interface = Interface(provider.interface)
        # Hashed once more: the key of a user's own provider may contain a person's name.
        names = [digest(name) for name in (context.project.origin, provider.application_id, provider.identity_key)]
        refresher = TokenRefresher(
            provider,
            key=f"{names[0]}:{interface}:{names[1]}:{names[2]}",
            store=self.store,
            index=self._index,
            send=self._sender(interface),
            clock=context.clock,
            zone=context.project.timezone,
            windows=self.windows,
        )
        return TokenManager(refresher, clock=context.clock)

    def _sender(self, interface: Interface) -> LoginSender:
        sender = self._senders.get(interface)
        if sender is None:
            caller = Caller(self.context, interface=interface, options=self.options)
            sender = self._senders[interface] = LoginSender(caller)
        return sender
