"""The whole state of one sandbox, so that handlers are plain functions of it and a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

import attrs

from carecloud_async.sandbox.constants import SSO_TOKEN, USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.clock import SandboxClock, local_timestamp
from carecloud_async.sandbox.state.customer_store import CustomerStore
from carecloud_async.sandbox.state.device_tokens import DeviceTokens
from carecloud_async.sandbox.state.settings import Overrides, Settings
from carecloud_async.sandbox.state.tables import Tables
from carecloud_async.sandbox.state.user_tokens import UserTokens


@attrs.frozen(kw_only=True)
class ServedPage:
    """A list page that is about to be sent; the records in it are already decided.

    Attributes:
        template: Path template of the list, such as `/customers`.
        offset: As it was asked for.
        ids: Ids of the records in it.
        total_items: As the answer says.
    """

    template: str
    offset: int
    ids: tuple[str, ...]
    total_items: int


@attrs.define(kw_only=True, eq=False, slots=False)
class SandboxState:
    """The state of a sandbox.

    Attributes:
        settings: How the server behaves.
        clock: Its clock.
        random: Where its tokens come from.
        customers: Its customers.
        tables: The records of all other lists.
        user_tokens: Tokens of the enterprise interface.
        device_tokens: Devices of the customer interface.
        overrides: What it says instead of the truth.
        passwords: Password of each enterprise login name.
        user_applications: Application ids that the enterprise login accepts.
        sso_tokens: Login name of each single sign-on token.
        password_emails: Bodies of the requests for a password e-mail.
        on_page: Called with each list page before it is sent; may be async.
    """

    settings: Settings
    clock: SandboxClock
    random: Random
    customers: CustomerStore
    tables: Tables
    user_tokens: UserTokens
    device_tokens: DeviceTokens
    overrides: Overrides = attrs.field(factory=Overrides)
    passwords: dict[str, str] = attrs.field(factory=lambda: {USER_LOGIN: USER_PASSWORD})
    user_applications: set[str] = attrs.field(factory=lambda: {USER_APPLICATION_ID})
    sso_tokens: dict[str, str] = attrs.field(factory=lambda: {SSO_TOKEN: USER_LOGIN})
    password_emails: list[JsonObject] = attrs.field(factory=list)
    on_page: Callable[[ServedPage], Awaitable[None] | None] | None = None

    def local(self, instant: float) -> str:
        """An instant as this project writes it."""
        return local_timestamp(instant, zone=self.settings.zone)

    def now(self) -> str:
        """The time now as this project writes it."""
        return self.local(self.clock.now())

    def random_hex(self, digits: int) -> str:
        """Return random hex digits."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"
