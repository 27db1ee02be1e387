"""The whole state of one sandbox; handlers are functions of it and a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random

import attrs

from carecloud_async.sandbox.constants import SSO_TOKEN, USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.clock import SandboxClock, local_timestamp
from carecloud_async.sandbox.state.customer_store import CustomerStore
from carecloud_async.sandbox.state.settings import Overrides, Settings
from carecloud_async.sandbox.state.tables import Tables
from carecloud_async.sandbox.state.tokens import DeviceTokens, UserTokens


@attrs.frozen(kw_only=True)
class ServedPage:
    """A list page that is about to be sent; its records no longer change.

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


class SandboxState:
    """The state of a sandbox.

    Args:
        settings: How the server behaves.
        clock: Its clock.
        random: Source of its tokens.
        customers: Number of customers at the start.
        records: Number of records of each other table at the start.
        users: Number of users of the enterprise interface.
        seed: Another seed makes other customers and records.
        untidy: Whether some records are as untidy as real ones.

    Attributes:
        settings: How the server behaves.
        clock: Its clock.
        random: Source of its tokens.
        customers: Its customers.
        tables: The records of all other lists.
        user_tokens: Tokens of the enterprise interface.
        device_tokens: Devices of the customer interface.
        overrides: False answers that a test asked for.
        passwords: Password of each enterprise login name.
        user_applications: Application ids that the enterprise login accepts.
        sso_tokens: Login name of each single sign-on token.
        password_emails: Bodies of the requests for a password e-mail.
        on_page: Called with each list page before it is sent; may be async.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        clock: SandboxClock,
        random: Random,
        customers: int,
        records: int,
        users: int,
        seed: int,
        untidy: bool,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.random = random
        self.customers: CustomerStore = CustomerStore(customers, seed=seed, timestamp=self.now, untidy=untidy)
        self.tables: Tables = Tables(
            seed=seed, records=records, customers=self.customers, users=users, timestamp=self.now, untidy=untidy
        )
        self.user_tokens: UserTokens = UserTokens(now=clock.now, new_value=lambda: self.random_hex(40))
        self.device_tokens: DeviceTokens = DeviceTokens(new_value=lambda: self.random_hex(72))
        self.overrides: Overrides = Overrides()
        self.passwords: dict[str, str] = {USER_LOGIN: USER_PASSWORD}
        self.user_applications: set[str] = {USER_APPLICATION_ID}
        self.sso_tokens: dict[str, str] = {SSO_TOKEN: USER_LOGIN}
        self.password_emails: list[JsonObject] = []
        self.on_page: Callable[[ServedPage], Awaitable[None] | None] | None = None

    def local(self, instant: float) -> str:
        """An instant as this project writes it."""
        return local_timestamp(instant, zone=self.settings.zone)

    def now(self) -> str:
        """The time now as this project writes it."""
        return self.local(self.clock.now())

    def random_hex(self, digits: int) -> str:
        """Return random hex digits."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"
