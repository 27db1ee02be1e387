"""LoggedIn: what a login brought, for whoever has to remember it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from attrs import field, frozen

from carecloud_async.auth.token import Token, masked, valid_to_utc


@frozen(kw_only=True)
class LoggedIn:
    """What a login brought.

    Attributes:
        token_id: the token: a customer's bound device token, or a user's bearer token. Keep it like a password.
        customer_id: the customer, on the customer interface.
        user: the user, on the enterprise interface (`carecloud_async.models.User`).
        valid_to: until when the token is good, in UTC; `None` if it does not end by time.
    """

    token_id: str = field(repr=masked)
    customer_id: str | None = None
    user: Any = field(default=None, repr=False)
    valid_to: datetime | None = None


def logged_in(token: Token, *, zone: ZoneInfo) -> LoggedIn:
    """Describe a token that was just obtained."""
    return LoggedIn(
        token_id=token.value,
        customer_id=token.customer_id,
        user=token.user,
        valid_to=None if token.valid_to is None else valid_to_utc(token.valid_to, zone=zone, after=None),
    )
