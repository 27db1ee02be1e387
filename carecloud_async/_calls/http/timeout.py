"""Timeout: bounds on the time of a call and its phases."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import optional

from carecloud_async._base.runtime.validators import number, require_number
from carecloud_async.errors import ConfigurationError

__all__ = ["Timeout"]


class OutOfTimeError(Exception):
    """The time of a call is over, or its client was closed, while it waited."""


@frozen(kw_only=True)
class Timeout:
    """Bounds on the time of a call, in seconds.

    Attributes:
        connect: to make a connection.
        read: without a byte of the answer.
        total: for the whole call, logins and repeats included; the wait at the rate limiter does not count.
        limiter: for waiting at the rate limiter, in all attempts together; as long as `total` if left out. Then
            `RateLimitError`.
    """

    connect: float = field(default=5.0, validator=number())
    read: float = field(default=30.0, validator=number())
    total: float = field(default=120.0, validator=number())
    limiter: float | None = field(default=None, validator=optional(number()))

    @property
    def limiter_seconds(self) -> float:
        """The longest wait at the rate limiter."""
        return self.total if self.limiter is None else self.limiter

    @classmethod
    def of(cls, value: Timeout | float) -> Timeout:
        """Take a `Timeout`, or a number of seconds as the total."""
        if isinstance(value, Timeout):
            return value
        if value is None:
            raise ConfigurationError(
                "timeout cannot be None: a call without an end is not supported; give seconds, such as timeout=600, or "
                "Timeout(connect=…, read=…, total=…)"
            )
        require_number("Timeout: total", value)
        return cls(connect=min(5.0, value), read=min(30.0, value), total=float(value))
