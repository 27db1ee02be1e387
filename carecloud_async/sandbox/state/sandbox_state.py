"""The whole state of one sandbox, with its clock, settings and tokens; handlers are functions of it and a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from math import inf
from random import Random
from zoneinfo import ZoneInfo

import attrs

from carecloud_async.sandbox.constants import USER_LOGIN, USER_PASSWORD
from carecloud_async.sandbox.state.customers import CustomerStore
from carecloud_async.sandbox.state.tables import Tables


class SandboxClock:
    """The server's time in seconds since 1970, UTC, and as the project writes it.

    Args:
        source: where the time comes from, in seconds since 1970.
        zone: time zone of the project; every timestamp in an answer is local to it and says no offset.

    Attributes:
        zone: time zone of the project.
    """

    def __init__(self, source: Callable[[], float], zone: ZoneInfo) -> None:
        self.zone: ZoneInfo = zone
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

    def local(self, instant: float) -> str:
        """An instant as the project writes it: local, without an offset, ambiguous in the hour that repeats."""
        return datetime.fromtimestamp(instant, self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def local_now(self) -> str:
        """The time now as the project writes it."""
        return self.local(self.now())

    def http_date(self) -> str:
        """The `Date` header of an answer given now, in UTC."""
        return format_datetime(datetime.fromtimestamp(self.now(), UTC).replace(microsecond=0), usegmt=True)


@attrs.frozen(kw_only=True)
class Token:
    """A token, of a user or of a device.

    Attributes:
        value: the bearer token.
        user_id: the user, on the enterprise interface.
        customer_id: the customer who is logged in on it, on the customer interface.
        ends: when it ends, in seconds since 1970.
    """

    value: str = attrs.field(repr=False)
    user_id: str | None = None
    customer_id: str | None = None
    ends: float = inf


class Tokens:
    """The tokens of one interface that are valid now.

    Args:
        now: the server's clock.
        new_value: makes a token's text.
    """

    def __init__(self, *, now: Callable[[], float], new_value: Callable[[], str]) -> None:
        self._now = now
        self._new_value = new_value
        self._tokens: dict[str, Token] = {}
        self._by_device: dict[tuple[str, str], str] = {}

    def issue(self, user_id: str, *, lifetime: float, value: str | None = None) -> Token:
        """Log a user in.

        Args:
            user_id: the user.
            lifetime: seconds that a new token is valid.
            value: the token's text; `None` makes one.
        """
        return self._add(Token(value=value or self._new_value(), user_id=user_id, ends=self._now() + lifetime))

    def create(self, device: tuple[str, str]) -> str:
        """Make a token for a device, which ends the device's older one, and return it.

        Args:
            device: ids of its application and of the device.
        """
        token = self._add(Token(value=self._new_value()))
        self._tokens.pop(self._by_device.get(device, ""), None)
        self._by_device[device] = token.value
        return token.value

    def find(self, value: str) -> Token | None:
        """The token with this value if it is valid now."""
        token = self._tokens.get(value)
        return token if token is not None and token.ends > self._now() else None

    def bind(self, value: str, *, customer_id: str | None) -> None:
        """Log a customer in on a token, or with `None` out; the token itself stays valid."""
        self._add(attrs.evolve(self._tokens[value], customer_id=customer_id))

    def revoke(self, value: str) -> bool:
        """End a token now, and return whether it was valid."""
        return self._tokens.pop(value, None) is not None

    def revoke_all(self) -> None:
        """End all tokens now."""
        self._tokens.clear()

    def _add(self, token: Token) -> Token:
        self._tokens[token.value] = token
        return token


class SandboxState:
    """The state of a sandbox.

    Args:
        clock: its clock.
        random: source of its tokens.
        customers: its customers.
        tables: the records of all other lists.

    Attributes:
        token_lifetime: seconds that the token of an enterprise login is valid.
        max_count: the server's own cap on `count`; `None`: it has none.
        latency: seconds that every answer takes.
        user_tokens: tokens of the enterprise interface.
        device_tokens: devices of the customer interface.
        handed_over: by authentication token, its request id and its application: the customer, and when it ends.
        passwords: password of each enterprise login name.
        refused: status with which lists are refused, by their path.
    """

    token_lifetime: float
    max_count: int | None
    latency: float
    refused: Mapping[str, int]

    def __init__(self, *, clock: SandboxClock, random: Random, customers: CustomerStore, tables: Tables) -> None:
        self.clock = clock
        self.random = random
        self.customers = customers
        self.tables = tables
        self.user_tokens: Tokens = Tokens(now=clock.now, new_value=lambda: self.random_hex(40))
        self.device_tokens: Tokens = Tokens(now=clock.now, new_value=lambda: self.random_hex(72))
        self.handed_over: dict[tuple[str, str, str], tuple[str, float]] = {}
        self.passwords: dict[str, str] = {USER_LOGIN: USER_PASSWORD}

    def random_hex(self, digits: int) -> str:
        """Return random hex digits."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"
