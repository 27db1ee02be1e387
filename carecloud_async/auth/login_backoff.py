"""LoginBackoff: remembers a refused login, so that wrong credentials do not hammer the server or lock the user."""

from __future__ import annotations

from attrs import field, frozen

from carecloud_async.errors import CareCloudError

FIRST_SECONDS = 30.0
MAX_SECONDS = 900.0


#: What a server answers that is unwell or busy, or wants the request later.
_NOT_ABOUT_CREDENTIALS = {408, 425, 429}


def refuses_login(status: int) -> bool:
    """Tell whether a login's answer says that the credentials are wrong."""
    return 400 <= status < 500 and status not in _NOT_ABOUT_CREDENTIALS


@frozen(kw_only=True)
class LoginBackoff:
    """A refused login.

    Attributes:
        error: what the server said.
        mark: what the credentials looked like (`AuthProvider.secret_mark`).
        delay: for how many seconds nobody asks again.
        until: when that ends, on the monotonic clock. Then one caller probes.
    """

    error: CareCloudError
    mark: str | None = field(repr=False)
    delay: float
    until: float


def refuse(error: CareCloudError, *, mark: str | None, last: LoginBackoff | None, now: float) -> LoginBackoff:
    """Remember a refusal; each one in a row is remembered twice as long, up to a quarter of an hour."""
    delay = FIRST_SECONDS if last is None or last.mark != mark else min(last.delay * 2, MAX_SECONDS)
    return LoginBackoff(error=error, mark=mark, delay=delay, until=now + delay)
