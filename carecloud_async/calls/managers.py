"""ManagerFactory: makes the token manager of an identity and hands it the function that sends its logins."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.auth.manager import TokenManager
from carecloud_async.auth.provider import AuthProvider
from carecloud_async.auth.renewal import StoredTokenIndex, TokenRefresher
from carecloud_async.auth.secret import digest
from carecloud_async.auth.stores.base import TokenStore
from carecloud_async.auth.token import RenewalWindows
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.context import ClientContext, Options
from carecloud_async.calls.login import LoginSender
from carecloud_async.project import Interface


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
    options: Options
    store: TokenStore
    windows: RenewalWindows
    _index: StoredTokenIndex = field(factory=StoredTokenIndex, init=False, eq=False, repr=False)
    # Logins of all identities are sent alike: one sender for each interface.
    _senders: dict[Interface, LoginSender] = field(factory=dict, init=False, eq=False, repr=False)

    def make(self, provider: AuthProvider) -> TokenManager:
        """Return a manager for one identity."""
        context = self.context
        interface = Interface(provider.interface)
        # Digested once more: the key that a user's own provider returns may name a person.
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
