"""Makes the token manager of an identity: the one place where logins are given the means to send."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.auth.active_token import RenewalWindows
from carecloud_async.auth.manager import TokenManager
from carecloud_async.auth.provider import AuthProvider, digest
from carecloud_async.auth.renewal import TokenRefresher
from carecloud_async.auth.stores.base import TokenStore
from carecloud_async.calls.caller import Caller
from carecloud_async.calls.context import ClientContext, Options
from carecloud_async.calls.login import LoginSender
from carecloud_async.project import Interface


@frozen(kw_only=True)
class ManagerFactory:
    """What all identities of one client have in common.

    Attributes:
        context: sends the logins.
        options: how.
        store: keeps the tokens.
        windows: when they are renewed.
    """

    context: ClientContext
    options: Options
    store: TokenStore
    windows: RenewalWindows
    # Logins of all identities are sent alike: one caller for each interface.
    _callers: dict[Interface, Caller] = field(factory=dict, init=False, eq=False, repr=False)

    def make(self, provider: AuthProvider) -> TokenManager:
        """Return a manager for one identity."""
        context = self.context
        interface = Interface(provider.interface)
        caller = self._callers.get(interface)
        if caller is None:
            caller = self._callers[interface] = Caller(context, interface=interface, options=self.options)
        # Digested once more: what a provider of the user's own calls its key may name a person.
        names = [digest(name) for name in (context.project.origin, provider.application_id, provider.identity_key)]
        renewal = TokenRefresher(
            provider,
            key=f"{names[0]}:{interface}:{names[1]}:{names[2]}",
            store=self.store,
            sender=lambda patient: LoginSender(caller, patient=patient),
            clock=context.clock,
            zone=context.project.timezone,
            windows=self.windows,
        )
        return TokenManager(renewal, clock=context.clock)
