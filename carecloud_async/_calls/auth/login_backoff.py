"""Delays after failed logins and early renewals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen

from carecloud_async._base.runtime.clock import Clock
from carecloud_async.errors import ApiError, CareCloudError, ResponseError

#: After a refused login: seconds until the next one, doubling up to the second figure.
FIRST_LOGIN_DELAY = 30.0
MAX_LOGIN_DELAY = 900.0
#: After a login with a success status or a redirect that brought no token, such as a page with 200: the same.
FIRST_UNUSABLE_DELAY = 1.0
MAX_UNUSABLE_DELAY = 30.0
#: After an early renewal that failed while the token was good: the same.
FIRST_RENEWAL_DELAY = 1.0
MAX_RENEWAL_DELAY = 60.0

#: Statuses of a server that is busy, wants the request later, or finds it too long or too large.
_NOT_ABOUT_CREDENTIALS = {408, 413, 414, 425, 429, 431}


def refuses_login(status: int) -> bool:
    """Return whether a login with an error of CareCloud says by its status that the credentials are wrong.

    Some servers give such an error with a success status.
    """
    return 200 <= status < 300 or (400 <= status < 500 and status not in _NOT_ABOUT_CREDENTIALS)


def is_refusal(error: BaseException) -> bool:
    """Return whether a failed login means wrong credentials, and not a failing server or a proxy's answer."""
    return isinstance(error, ApiError) and refuses_login(error.status)


def _is_unusable(error: BaseException) -> bool:
    """Return whether a login got an answer without a token that the retry policy does not repeat."""
    return isinstance(error, ResponseError) and not error.is_retryable


@frozen(kw_only=True)
class _Refusal:
    error: CareCloudError
    credentials_fingerprint: str | None
    delay: float
    until: float


class LoginBackoff:
    """Remembers a refused login, so that wrong credentials neither load the server nor lock the user's account.

    Each refusal in a row doubles the delay; at its end one caller tries again. The delay applies to the refused
    credentials only: others are tried at once. A login without a usable answer is remembered too, for a
    shorter time: otherwise each call would log in again, and the server may carry out every one of these logins.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refusal: _Refusal | None = None

    @property
    def until(self) -> float:
        """The end of the delay on the monotonic clock; 0 if no login was refused."""
        return 0.0 if self._refusal is None else self._refusal.until

    @staticmethod
    def remembers(error: CareCloudError) -> bool:
        """Return whether a failed login delays the next one."""
        return is_refusal(error) or _is_unusable(error)

    def on_failed(self, error: CareCloudError, *, credentials_fingerprint: str | None) -> None:
        """Remember a refusal or an unusable answer, and the fingerprint (`AuthProvider.credentials_fingerprint`)."""
        first, most = FIRST_UNUSABLE_DELAY, MAX_UNUSABLE_DELAY
        if is_refusal(error):
            first, most = FIRST_LOGIN_DELAY, MAX_LOGIN_DELAY
        last = self._refusal
        repeated = last is not None and last.credentials_fingerprint == credentials_fingerprint
        delay = min(max(last.delay * 2, first), most) if last is not None and repeated else first
        # A copy: the raised error keeps every frame of its call alive, with all their variables.
        self._refusal = _Refusal(
            error=error.fresh(),
            credentials_fingerprint=credentials_fingerprint,
            delay=delay,
            until=self._clock.monotonic() + delay,
        )

    def clear(self) -> None:
        """Forget the refusal: a login has succeeded."""
        self._refusal = None

    def on_new_settings(self) -> None:
        """Forget a refusal without a fingerprint: the identity was given to the client again."""
        if self._refusal is not None and self._refusal.credentials_fingerprint is None:
            self._refusal = None

    async def check(self, read_fingerprint: Callable[[], Awaitable[str | None]]) -> None:
        """Raise the remembered refusal while its delay lasts.

        Args:
            read_fingerprint: returns the current credentials' fingerprint; `None` if they do not change by themselves.
        """
        refusal = self._refusal
        if refusal is None or self._clock.monotonic() >= refusal.until:
            return
        fingerprint = await read_fingerprint()
        if fingerprint in {None, refusal.credentials_fingerprint}:
            raise refusal.error.fresh()


class RenewalBackoff:
    """Delays early renewals of a token that is still valid, after one has failed."""

    def __init__(self) -> None:
        self._delay = 0.0
        self.until: float = 0.0

    def on_failed(self, *, now: float, at_least_until: float, at_most_until: float) -> None:
        """Delay the next early renewal.

        Args:
            now: the monotonic time.
            at_least_until: when a refused login may be repeated.
            at_most_until: when the token ends.
        """
        self._delay = min(self._delay * 2 or FIRST_RENEWAL_DELAY, MAX_RENEWAL_DELAY)
        self.until = min(max(now + self._delay, at_least_until), at_most_until)

    def clear(self) -> None:
        """End the delay: renew at the next occasion."""
        self._delay = self.until = 0.0
