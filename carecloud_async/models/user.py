"""Users of the CareCloud back office, and the responses of logins and token calls."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.models.base import PERSONAL, READ_ONLY, SECRET, LocalDatetime, Model


@frozen(kw_only=True, repr=False)
class User(Model):
    """A user."""

    user_id: str = field(metadata=READ_ONLY)
    login: str | None = field(default=None, metadata=PERSONAL)
    """Login name."""
    first_name: str | None = field(default=None, metadata=PERSONAL)
    """Given name."""
    last_name: str | None = field(default=None, metadata=PERSONAL)
    """Family name."""
    email: str | None = field(default=None, metadata=PERSONAL)
    phone: str | None = field(default=None, metadata=PERSONAL)
    """Number with the international prefix; text even where the server sends a number."""
    user_role_ids: tuple[str, ...] = field(default=(), metadata=READ_ONLY)
    """Ids of the user's roles."""
    user_role_id: str | None = field(default=None, metadata=READ_ONLY)
    """Id of the one role, on servers that still send it this way; see `role_ids`."""
    store_id: str | None = field(default=None, metadata=READ_ONLY)
    """Id of the user's store."""
    last_login: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    """When the user last logged in, in project-local time."""

    @property
    def role_ids(self) -> tuple[str, ...]:
        """The ids of all roles, whichever way the server sent them."""
        if not self.user_role_id or self.user_role_id in self.user_role_ids:
            return self.user_role_ids
        return (self.user_role_id, *self.user_role_ids)


@frozen(kw_only=True, repr=False)
class UserLogin(Model):
    """The response to a user's login."""

    bearer_token: str | None = field(default=None, metadata=SECRET)
    """The token; masked in the repr."""
    valid_to: str | None = None
    """Until when it is valid, `YYYY-MM-DD HH:MM:SS` in project-local time, as the API writes it."""
    user: User | None = None
    """Who logged in."""


@frozen(kw_only=True, repr=False)
class UserRole(Model):
    """A role of users."""

    user_role_id: str = field(metadata=READ_ONLY)
    name: str | None = field(default=None, metadata=READ_ONLY)


@frozen(repr=False)
class AuthenticationToken(Model):
    """A token with which another application can log the customer in."""

    authentication_token: str | None = field(default=None, metadata=SECRET)
    """The token; masked in the repr."""
    token_request_id: str | None = None
    """The id of the request that issued it; the other side must name both."""
    valid_to: str | None = None
    """Until when it is valid, `YYYY-MM-DD HH:MM:SS` in project-local time, as the API writes it."""
