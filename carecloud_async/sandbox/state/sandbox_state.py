"""The whole state of one sandbox, with its clock and settings; handlers are functions of it and a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from random import Random
from zoneinfo import ZoneInfo

import attrs

from carecloud_async.sandbox.constants import SSO_TOKEN, USER_APPLICATION_ID, USER_LOGIN, USER_PASSWORD
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customer_store import CustomerStore
from carecloud_async.sandbox.state.tables import Tables
from carecloud_async.sandbox.state.tokens import DeviceTokens, UserTokens

TIMESTAMP = "%Y-%m-%d %H:%M:%S"


class SandboxClock:
    """The server's time in seconds since 1970, UTC.

    Args:
        source: Where the time comes from, in seconds since 1970.
    """

    __slots__ = ("_offset", "_source")

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self._offset = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self._source() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock by a number of seconds, backwards if negative."""
        self._offset += seconds

    def set(self, instant: datetime) -> None:
        """Set the clock to an instant, from which it runs on.

        Args:
            instant: An aware datetime.
        """
        if instant.tzinfo is None:
            raise ValueError("the sandbox's clock is set to an aware datetime, so that the instant is certain")
        self._offset = instant.timestamp() - self._source()

    def http_date(self) -> str:
        """The `Date` header of an answer given now, in UTC."""
        return format_datetime(datetime.fromtimestamp(self.now(), UTC).replace(microsecond=0), usegmt=True)


def local_timestamp(instant: float, *, zone: ZoneInfo) -> str:
    """Write an instant as the API does: local to the project, without an offset.

    Args:
        instant: Seconds since 1970.
        zone: Time zone of the project.

    Returns:
        `YYYY-MM-DD HH:MM:SS`; in the hour that repeats at the end of summer time it is ambiguous, as the API's is.
    """
    return datetime.fromtimestamp(instant, zone).strftime(TIMESTAMP)


class Settings:
    """Settings of a sandbox, read again for every request.

    Attributes:
        zone: Time zone of the project; every timestamp in an answer is local to it and says no offset.
        token_lifetime: Seconds that the token of an enterprise login is valid.
        reuse_tokens: Seconds before a token's end until which a further login of the same user is handed the same token
            again; `None` makes a new token at each login.
        unbound_status: Status for customer data asked for with a device token that no customer is logged in on.
        max_count: Most records in a page, for any `count`; `None`: no cap.
        latency: Seconds that every answer takes.
        rate_limit: Requests a second above which the answer is 429; `None` sets no limit.
        rate_limit_retry_after: Seconds in the `Retry-After` of such a 429; `None` leaves the header out.
        set_cookies: Whether each answer sets a cookie.
        date_header: Whether answers carry `Date`.
        batch_report: Whether a batch that kept its valid rows answers 400 with the invalid rows; otherwise 204.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone: ZoneInfo = zone
        self.token_lifetime: float = 7 * 3600
        self.reuse_tokens: float | None = None
        self.unbound_status: int = 401
        self.max_count: int | None = None
        self.latency: float = 0.0
        self.rate_limit: float | None = None
        self.rate_limit_retry_after: float | None = None
        self.set_cookies: bool = False
        self.date_header: bool = True
        self.batch_report: bool = True


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
