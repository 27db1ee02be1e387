"""Timeout: how long a call and its phases may take."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from carecloud_async.errors import ConfigurationError


def _seconds(_: Any, attribute: Any, value: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise ConfigurationError(f"Timeout: {attribute.name} must be a number of seconds greater than 0")


@frozen(kw_only=True)
class Timeout:
    """How long a call may take, in seconds.

    Attributes:
        connect: to make a connection.
        read: without a byte of the answer.
        total: for the whole call, logins and repeats included; the wait at the rate limiter does not count.
    """

    connect: float = field(default=5.0, validator=_seconds)
    read: float = field(default=30.0, validator=_seconds)
    total: float = field(default=120.0, validator=_seconds)

    @classmethod
    def of(cls, value: Timeout | float) -> Timeout:
        """Take a `Timeout`, or a number of seconds as the total."""
        if isinstance(value, Timeout):
            return value
        _seconds(None, _Named("total"), value)
        return cls(connect=min(5.0, value), read=min(30.0, value), total=float(value))


@frozen
class _Named:
    name: str
