"""The whole state of one sandbox, with its clock, settings and tokens; handlers are functions of it and a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from random import Random
from zoneinfo import ZoneInfo

import attrs

from carecloud_async.sandbox.constants import USER_LOGIN, USER_PASSWORD
from carecloud_async.sandbox.state.customers import CustomerStore
from carecloud_async.sandbox.state.tables import Tables


class SandboxClock:
    """The server's time in seconds since 1970, UTC.

    Args:
        source: where the time comes from, in seconds since 1970.
    """

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
            instant: an aware datetime.
        """
        if instant.tzinfo is None:
            raise ValueError("the sandbox's clock is set to an aware datetime, so that the instant is certain")
        self._offset = instant.timestamp() - self._source()

    def http_date(self) -> str:
        """The `Date` header of an answer given now, in UTC."""
        return format_datetime(datetime.fromtimestamp(self.now(), UTC).replace(microsecond=0), usegmt=True)


@attrs.frozen(kw_only=True)
class UserToken:
    """A login of an enterprise user.

    Attributes:
        value: the bearer token.
        user_id: the user.
        ends: when it ends, in seconds since 1970.
    """

    value: str = attrs.field(repr=False)
    user_id: str
    ends: float


class UserTokens:
    """The enterprise tokens that are valid now.

    Args:
        now: the server's clock.
        new_value: makes a token's text.
    """

    def __init__(self, *, now: Callable[[], float], new_value: Callable[[], str]) -> None:
        self._now = now
        self._new_value = new_value
        self._tokens: dict[str, UserToken] = {}

    def issue(
        self, user_id: str, *, lifetime: float, reuse_margin: float | None = None, value: str | None = None
    ) -> UserToken:
        """Log a user in.

        Args:
            user_id: the user.
            lifetime: seconds that a new token is valid.
            reuse_margin: seconds that an older token must still be valid to be returned again; `None`: it never is.
            value: the token's text; `None` makes one.
        """
        for token in self._tokens.values() if reuse_margin is not None else ():
            if token.user_id == user_id and token.ends - self._now() > (reuse_margin or 0.0):
                return token
        token = UserToken(value=value or self._new_value(), user_id=user_id, ends=self._now() + lifetime)
        self._tokens[token.value] = token
        return token

    def find(self, value: str) -> UserToken | None:
        """The token with this value if it is valid now."""
        token = self._tokens.get(value)
        return token if token is not None and token.ends > self._now() else None

    def revoke(self, value: str) -> bool:
        """End a token now, and return whether it was valid."""
        return self._tokens.pop(value, None) is not None

    def revoke_all(self) -> None:
        """End all tokens now."""
        self._tokens.clear()


@attrs.frozen(kw_only=True)
class DeviceRecord:
    """A valid device token.

    Attributes:
        token_id: the token, which is the bearer token of every later call.
        customer_id: the customer who is logged in on it, or `None`.
    """

    token_id: str = attrs.field(repr=False)
    customer_id: str | None = None


class DeviceTokens:
    """The device tokens that are valid now.

    Args:
        new_value: makes a token's text.
    """

    def __init__(self, *, new_value: Callable[[], str]) -> None:
        self._new_value = new_value
        self._tokens: dict[str, DeviceRecord] = {}
        self._by_device: dict[tuple[str, str], str] = {}

    def create(self, *, application_id: str, device_id: str) -> str:
        """Make a token for a device; it ends an older one of the same device and application.

        Returns:
            The token.
        """
        token_id = self._new_value()
        self._tokens.pop(self._by_device.get((application_id, device_id), ""), None)
        self._by_device[application_id, device_id] = token_id
        self._tokens[token_id] = DeviceRecord(token_id=token_id)
        return token_id

    def find(self, token_id: str) -> DeviceRecord | None:
        """The token with this value if it is valid now."""
        return self._tokens.get(token_id)

    def bind(self, token_id: str, *, customer_id: str | None) -> None:
        """Log a customer in on a token, or with `None` out; the token itself stays valid."""
        self._tokens[token_id] = attrs.evolve(self._tokens[token_id], customer_id=customer_id)

    def revoke(self, token_id: str) -> bool:
        """End a token now, and return whether it was valid."""
        return self._tokens.pop(token_id, None) is not None

    def revoke_all(self) -> None:
        """End all tokens now."""
        self._tokens.clear()


class Settings:
    """Settings of a sandbox, read again for every request; see the arguments of `Sandbox`.

    Attributes:
        zone: time zone of the project; every timestamp in an answer is local to it and says no offset.
    """

    def __init__(
        self,
        *,
        zone: ZoneInfo,
        token_lifetime: float,
        reuse_tokens: float | None,
        max_count: int | None,
        latency: float,
        rate_limit: float | None,
        rate_limit_retry_after: float | None,
    ) -> None:
        self.zone = zone
        self.token_lifetime = token_lifetime
        self.reuse_tokens = reuse_tokens
        self.max_count = max_count
        self.latency = latency
        self.rate_limit = rate_limit
        self.rate_limit_retry_after = rate_limit_retry_after


@attrs.frozen
class ServedPage:
    """A list page that is about to be sent; its records no longer change.

    Attributes:
        template: path template of the list, such as `/customers`.
        offset: as it was asked for.
        ids: ids of the records in it.
        total_items: as the answer says.
    """

    template: str
    offset: int
    ids: tuple[str, ...]
    total_items: int


class SandboxState:
    """The state of a sandbox.

    Args:
        settings: how the server behaves.
        clock: its clock.
        random: source of its tokens.
        customers: number of customers at the start.
        records: number of records of each other table at the start.
        users: number of users of the enterprise interface.
        seed: another seed makes other customers and records.
        untidy: whether some records are as untidy as real ones.

    Attributes:
        settings: how the server behaves.
        clock: its clock.
        random: source of its tokens.
        customers: its customers.
        tables: the records of all other lists.
        user_tokens: tokens of the enterprise interface.
        device_tokens: devices of the customer interface.
        handed_over: by authentication token, its request id and its application: the customer, and when it ends.
        passwords: password of each enterprise login name.
        on_page: called with each list page before it is sent; may be async.
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
        self.handed_over: dict[tuple[str, str, str], tuple[str, float]] = {}
        self.passwords: dict[str, str] = {USER_LOGIN: USER_PASSWORD}
        self.on_page: Callable[[ServedPage], Awaitable[None] | None] | None = None

    def local(self, instant: float) -> str:
        """An instant as this project writes it: local, without an offset, ambiguous in the hour that repeats."""
        return datetime.fromtimestamp(instant, self.settings.zone).strftime("%Y-%m-%d %H:%M:%S")

    def now(self) -> str:
        """The time now as this project writes it."""
        return self.local(self.clock.now())

    def random_hex(self, digits: int) -> str:
        """Return random hex digits."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"
