"""ActiveToken: a token with its dates on the monotonic clock, and the windows in which it is renewed."""

from __future__ import annotations

import math

from attrs import field, frozen

from carecloud_async.auth.token import Token
from carecloud_async.errors import ConfigurationError

#: The least time between two renewals of a token that is still good, in seconds: a server that hands back the same
#: token until shortly before its end is not asked in a circle.
MIN_SPACING = 1.0


def _fraction(_: object, attribute: object, value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigurationError(
            f"RenewalWindows.{getattr(attribute, 'name', '')} must be from 0 up to, not including, 1"
        )


@frozen(kw_only=True)
class RenewalWindows:
    """When a token is renewed before its end; the windows shrink with the life of the token.

    Attributes:
        advisory: the last part of a life (0.25: its last quarter) in which one caller renews and nobody waits.
        mandatory: the last part in which everybody waits for one renewal.
        max_advisory: the longest advisory window, in seconds.
        max_mandatory: the longest mandatory window, in seconds.
    """

    advisory: float = field(default=0.25, validator=_fraction)
    mandatory: float = field(default=0.1, validator=_fraction)
    max_advisory: float = 900.0
    max_mandatory: float = 120.0


@frozen(kw_only=True)
class ActiveToken:
    """A token in use. All times are seconds of the monotonic clock.

    Attributes:
        token: the token.
        renew_at: from here on one caller renews.
        require_at: from here on everybody waits for a renewal.
        ends_at: from here on the server refuses it.
    """

    token: Token
    renew_at: float = math.inf
    require_at: float = math.inf
    ends_at: float = math.inf


def lease(token: Token, *, seconds: float | None, start: float, windows: RenewalWindows) -> ActiveToken:
    """Lay the windows of a token.

    Args:
        token: the token.
        seconds: what is left of its life at `start`; `None` if it does not end by time.
        start: when that was true, on the monotonic clock.
        windows: the user's wishes.
    """
    if seconds is None:
        return ActiveToken(token=token)
    ends_at = start + seconds
    advisory = min(seconds * windows.advisory, windows.max_advisory)
    mandatory = min(seconds * windows.mandatory, windows.max_mandatory)
    renew_at = min(max(ends_at - max(advisory, mandatory), start + MIN_SPACING), ends_at)
    return ActiveToken(token=token, renew_at=renew_at, require_at=max(renew_at, ends_at - mandatory), ends_at=ends_at)
