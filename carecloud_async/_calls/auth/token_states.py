"""The states of an identity's token other than in use, and a refresh under way."""

from __future__ import annotations

import anyio
from attrs import define, field, frozen

from carecloud_async._calls.auth.token import ActiveToken, Token
from carecloud_async.errors import CareCloudError, SessionExpiredError

__all__ = ["Ended", "NoToken", "Refresh", "copy_for_caller"]


@frozen
class NoToken:
    """There is no token; `rejected` is the value that the server refused last, if any."""

    rejected: str | None = None


@frozen(kw_only=True)
class Ended:
    """The identity's session has ended until the next `log_in`.

    Attributes:
        error: the error of every call.
        rejected: the value that the server refused last, if any.
        device_token: the device's own token, which the logout released for the next login.
    """

    error: SessionExpiredError
    rejected: str | None = None
    device_token: Token | None = None


@define(eq=False, kw_only=True)
class Refresh:
    """A refresh under way. It holds the outcome for its waiters: a token, an error, or neither if it was cancelled.

    Attributes:
        forced: whether it logs in even if a token is stored.
        retry: whether failures are repeated.
        rejected: the token value that is known to be refused.
        logins: the logins that were sent for it, as observers know them.
    """

    forced: bool
    retry: bool
    rejected: str | None
    # anyio loads its events when the first is made: not when the client is imported.
    done: anyio.Event = field(factory=lambda: anyio.Event())
    result: ActiveToken | None = None
    error: Exception | None = None
    logins: list[object] = field(factory=list)


def copy_for_caller(error: Exception) -> Exception:
    """Return a copy for one waiter, so that callers' tracebacks do not accumulate on one exception."""
    if not isinstance(error, CareCloudError):
        return error
    copy = error.fresh()
    copy.__cause__ = error.__cause__
    return copy
