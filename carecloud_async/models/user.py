"""Users of the CareCloud back office: `GET /users` and the answer of `POST /users/actions/login`."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.models.base import READ_ONLY, SECRET, LocalDatetime, Model

__all__ = ["User", "UserLogin"]


@frozen(kw_only=True, repr=False)
class User(Model):
    """A user.

    Attributes:
        user_id: id of the user.
        login: login name.
        first_name: given name.
        last_name: family name.
        email: e-mail address.
        phone: number with the international prefix; text even where the server sends a number.
        user_role_ids: ids of the user's roles.
        user_role_id: id of the one role, on servers that still send it this way; see `role_ids`.
        store_id: id of the user's store.
        last_login: when the user last logged in, in project-local time.
    """

    user_id: str = field(metadata=READ_ONLY)
    login: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    user_role_ids: tuple[str, ...] = field(default=(), metadata=READ_ONLY)
    user_role_id: str | None = field(default=None, metadata=READ_ONLY)
    store_id: str | None = field(default=None, metadata=READ_ONLY)
    last_login: LocalDatetime | None = field(default=None, metadata=READ_ONLY)

    @property
    def role_ids(self) -> tuple[str, ...]:
        """The ids of all roles, whichever way the server sent them."""
        if not self.user_role_id or self.user_role_id in self.user_role_ids:
            return self.user_role_ids
        return (self.user_role_id, *self.user_role_ids)


_NO_USER = User(user_id="")


@frozen(kw_only=True, repr=False)
class UserLogin(Model):
    """What a user's login answers.

    Attributes:
        bearer_token: the token; masked in the repr.
        valid_to: until when it is valid, `YYYY-MM-DD HH:MM:SS` in project-local time, as the API writes it.
        user: who logged in.
    """

    bearer_token: str | None = field(default=None, metadata=SECRET)
    valid_to: str | None = None
    user: User = _NO_USER
