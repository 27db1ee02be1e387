"""Token: a bearer token as a login hands it out, and how long it may live."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from attrs import field, frozen

from carecloud_async.errors import ConfigurationError, ResponseError

#: What the vendor grants unless a project is set otherwise, in seconds.
DEFAULT_LIFETIME = 7 * 3600.0
#: A token that claims to live longer than this is not believed.
MAX_LIFETIME = 366 * 24 * 3600.0
#: `valid_to` and `Date` are whole seconds: the true rest of a life may be this much shorter than their difference.
RESOLUTION = 1.0

# What an `Authorization` header can carry; HTTP libraries quote the rest in their errors.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


def masked(_: object) -> str:
    """Show a secret as stars."""
    return "'***'"


def _require_header_safe(_: object, __: object, value: Any) -> None:
    if not isinstance(value, str) or not _HEADER_SAFE.fullmatch(value):
        raise ConfigurationError("a token must be text of visible ASCII characters, without spaces or line ends")


@frozen
class Token:
    """A bearer token; its value is never shown.

    Give `valid_to` or `expires_in`, or neither for a token that does not end by time (device tokens).

    Attributes:
        value: what follows `Bearer` in the header.
        valid_to: the end as the API writes it (`YYYY-MM-DD HH:MM:SS`, project-local), or as a datetime (naive is
            project-local, aware is what it says). What is left of it is measured by the `Date` of the login's answer;
            where `obtain` asked no server that tells it, an aware end is measured by this host's clock, which has to be
            right then. `expires_in` needs no clock.
        expires_in: seconds left when the token was obtained.
        customer_id: the customer that the token is bound to, if any.
        user: the user that logged in, if the login told (`carecloud_async.models.User`).
    """

    value: str = field(repr=masked, validator=_require_header_safe)
    valid_to: str | datetime | None = field(default=None, kw_only=True)
    expires_in: float | None = field(default=None, kw_only=True)
    customer_id: str | None = field(default=None, kw_only=True)
    user: Any = field(default=None, kw_only=True, repr=False, eq=False)

    @property
    def ends(self) -> bool:
        """Whether the token ends by time."""
        return self.valid_to is not None or self.expires_in is not None


def usable(value: str, *, where: str) -> str:
    """Return a token's value as the server gave it.

    Raises:
        ResponseError: no header can carry it.
    """
    if not _HEADER_SAFE.fullmatch(value):
        raise ResponseError(f"{where} holds a token that no header can carry")
    return value


def lifetime(token: Token, *, zone: ZoneInfo, date: datetime | None, now: datetime) -> tuple[float, str | None]:
    """Return the seconds that an ending token lives from its login on, and what was wrong if that had to be guessed.

    Args:
        token: a token with `valid_to` or `expires_in`.
        zone: the project's time zone.
        date: the `Date` of the login's answer, in UTC.
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
            return DEFAULT_LIFETIME, "the login's answer has no usable Date header"
        rest = (end - date).total_seconds()
        seconds = max(rest - RESOLUTION, rest / 2)
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
    moment = _parse(valid_to) if isinstance(valid_to, str) else valid_to
    if moment is None:
        return None
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        instants = sorted({moment.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)})
    except OverflowError:
        return None
    return next((instant for instant in instants if after is None or instant > after), instants[0])


def _parse(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None
