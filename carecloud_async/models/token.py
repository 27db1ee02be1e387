"""What the tokens of the customer interface answer."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.models.base import SECRET, Model

__all__ = ["AuthenticationToken"]


@frozen(repr=False)
class AuthenticationToken(Model):
    """A token that hands a customer over to another application."""

    authentication_token: str | None = field(default=None, metadata=SECRET)
    """The token; masked in the repr."""
    token_request_id: str | None = None
    """The id of the request that issued it; the other side must name both."""
    valid_to: str | None = None
    """Until when it is valid, `YYYY-MM-DD HH:MM:SS` in project-local time, as the API writes it."""
