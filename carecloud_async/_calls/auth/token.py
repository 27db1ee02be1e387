"""Tokens as a login returns them, tokens in use with their refresh deadlines, and the result of `login()`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeGuard
from zoneinfo import ZoneInfo

from attrs import field, frozen

from carecloud_async._base.runtime.secret_text import conceal_body, secret_text
from carecloud_async._calls.auth.secret import masked
from carecloud_async.errors import ConfigurationError, ResponseError
from carecloud_async.models.field_docs import with_field_docs

if TYPE_CHECKING:
    from carecloud_async.models import User

__all__ = ["LoggedIn", "Token"]

#: The API's default lifetime of a token, in seconds.
DEFAULT_LIFETIME = 7 * 3600.0
#: A longer claimed lifetime is not believed.
MAX_LIFETIME = 366 * 24 * 3600.0
#: `valid_to` and `Date` are whole seconds: the true remaining lifetime may be this much shorter than their difference.
RESOLUTION = 1.0
#: The least time between two renewals of a token that is still valid, in seconds: some servers return the same token
#: until shortly before its end, and must not be asked in a loop.
MIN_SPACING = 1.0

#: The advisory window, in which one caller renews and none waits, and the mandatory one, in which all wait for one
#: renewal: as parts of a token's lifetime, and their longest durations in seconds.
ADVISORY, MAX_ADVISORY = 0.25, 900.0
MANDATORY, MAX_MANDATORY = 0.1, 120.0

# The characters of an `Authorization` header; HTTP libraries quote other values in their errors.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


def is_header_safe(value: object) -> TypeGuard[str]:
    """Return whether `value` is text that a header can carry as a token."""
    return isinstance(value, str) and _HEADER_SAFE.fullmatch(value) is not None


def _check_value(_: object, __: object, value: Any) -> None:
    if not is_header_safe(value):
        raise ConfigurationError("a token must be text of visible ASCII characters, without spaces or line ends")


def _check_seconds(_: object, __: object, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ConfigurationError("Token.expires_in must be a number of seconds; of a timedelta, its total_seconds()")


@frozen
class Token:
    """A bearer token; its value is never shown.

    Give `valid_to` or `expires_in`, or neither for a token that does not end by time (device tokens).

    Attributes:
        value: what follows `Bearer` in the header.
        valid_to: the end as the API writes it (`YYYY-MM-DD HH:MM:SS`, project-local), or as a datetime (a naive one is
            project-local). The remaining time is measured by the `Date` of the login's response. If `obtain` sent no
            request to a server with a `Date`, an aware end is measured by this host's clock, which must then be right.
            `expires_in` needs no clock.
        expires_in: seconds left when the token was obtained.
        customer_id: the customer that the token is bound to, if any.
        user: the user that logged in, if the login's response holds one.
    """

    value: str = field(repr=masked, converter=secret_text, validator=_check_value)
    valid_to: str | datetime | None = field(default=None, kw_only=True)
    expires_in: float | None = field(default=None, kw_only=True, validator=_check_seconds)
    customer_id: str | None = field(default=None, kw_only=True)
    user: User | None = field(default=None, kw_only=True, repr=False, eq=False)

    @property
    def ends(self) -> bool:
        """Whether the token ends by time."""
        return self.valid_to is not None or self.expires_in is not None


@frozen(kw_only=True)
class ActiveToken:
    """A token in use. All times are seconds of the monotonic clock.

    Attributes:
        renew_at: from here on one caller renews.
        require_at: from here on all callers wait for a renewal.
        ends_at: from here on the server refuses it.
    """

    token: Token
    renew_at: float = math.inf
    require_at: float = math.inf
    ends_at: float = math.inf


def activate(token: Token, *, seconds: float | None, start: float) -> ActiveToken:
    """Compute a token's refresh deadlines.

    Args:
        seconds: the lifetime left at `start`; `None` if the token does not end by time.
        start: when that was true, on the monotonic clock.
    """
    if seconds is None:
        return ActiveToken(token=token)
    ends_at = start + seconds
    advisory = min(seconds * ADVISORY, MAX_ADVISORY)
    mandatory = min(seconds * MANDATORY, MAX_MANDATORY)
    renew_at = min(max(ends_at - advisory, start + MIN_SPACING), ends_at)
    require_at = max(renew_at, ends_at - mandatory)
    return ActiveToken(token=token, renew_at=renew_at, require_at=require_at, ends_at=ends_at)


@with_field_docs
@frozen(kw_only=True)
class LoggedIn:
    """The result of `login()`."""

    token_id: str = field(repr=masked)
    """The token: a customer's bound device token, or a user's bearer token. Keep it like a password."""
    customer_id: str | None = None
    """The customer, on the customer interface."""
    user: User | None = field(default=None, repr=False)
    """The user, on the enterprise interface."""
    valid_to: datetime | None = None
    """The end of the token, in UTC; `None` if it does not end by time."""


def logged_in(token: Token, *, zone: ZoneInfo) -> LoggedIn:
    """Describe a token that was just obtained."""
    return LoggedIn(
        token_id=str(token.value),
        customer_id=token.customer_id,
        user=token.user,
        valid_to=None if token.valid_to is None else valid_to_utc(token.valid_to, zone=zone, after=None),
    )


def read_text(data: Mapping[str, Any], name: str, *, where: str) -> str:
    """Return a text of a login's response.

    Raises:
        ResponseError: it is missing or empty.
    """
    value = conceal_body(data.get(name))
    if not isinstance(value, str) or not value:
        raise ResponseError(f"{where} holds no {name}")
    return str(value)


def read_token_value(data: Mapping[str, Any], name: str, *, where: str) -> str:
    """Return the token in a login's response.

    Raises:
        ResponseError: it is missing, or not valid in a header.
    """
    value = secret_text(read_text(data, name, where=where))
    if not is_header_safe(value):
        raise ResponseError(f"{where} holds a token that no header can carry")
    return value


def lifetime(token: Token, *, zone: ZoneInfo, date: datetime | None, now: datetime) -> tuple[float, str | None]:
    """Return an ending token's lifetime in seconds from its login on, and the problem if it had to be assumed.

    Args:
        token: a token with `valid_to` or `expires_in`.
        zone: the project's time zone.
        date: the `Date` of the login's response, in UTC.
        now: this host's clock, for an aware end that came without a `Date`.
    """
    if token.expires_in is not None:
        seconds = float(token.expires_in)
    else:
        if date is None and isinstance(token.valid_to, datetime) and token.valid_to.tzinfo is not None:
            date = now
        end = valid_to_utc(token.valid_to, zone=zone, after=date)
        if end is None:
            return DEFAULT_LIFETIME, "valid_to cannot be read"
        if date is None:
            return DEFAULT_LIFETIME, "the login's response has no usable Date header"
        left = (end - date).total_seconds()
        seconds = max(left - RESOLUTION, left / 2)
    if not seconds > 0:
        return DEFAULT_LIFETIME, "the token seems to have ended before it began (is timezone= the project's?)"
    if seconds > MAX_LIFETIME:
        return DEFAULT_LIFETIME, "the token claims to live for more than a year"
    return seconds, None


def valid_to_utc(valid_to: str | datetime | None, *, zone: ZoneInfo, after: datetime | None) -> datetime | None:
    """Turn `valid_to` into an instant in UTC, or `None` if it cannot be read.

    Where the zone's clock showed that time twice (or, in spring, never), the earlier instant counts, unless it lies
    before `after` already.
    """
    end = _parse(valid_to) if isinstance(valid_to, str) else valid_to
    if end is None:
        return None
    try:
        if end.tzinfo is not None:
            return end.astimezone(UTC)
        instants = sorted({end.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)})
    except OverflowError:
        return None
    return next((instant for instant in instants if after is None or instant > after), instants[0])


def _parse(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None
