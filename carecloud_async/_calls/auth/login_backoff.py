"""LoginBackoff: after a refused login, the same credentials are not sent again for some time."""

from __future__ import annotations

import logging

import anyio
from attrs import frozen

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async.errors import ApiError, CareCloudError, ResponseError

_log = logging.getLogger("carecloud_async.auth")

#: After a refused login: seconds until the next one, and where the doubling ends.
REFUSED_DELAYS = (30.0, 900.0)
#: The same after a login whose success or redirect brought no token, such as a page with 200.
UNUSABLE_DELAYS = (1.0, 30.0)
#: How long a provider may take to return its `credentials_fingerprint` (seconds).
FINGERPRINT_SECONDS = 5.0

#: Statuses of a server that is busy, wants the request later, or finds it too long or too large.
_NOT_ABOUT_CREDENTIALS = {408, 413, 414, 425, 429, 431}


def refuses_login(status: int) -> bool:
    """Return whether a login with an error of CareCloud says by its status that the credentials are wrong.

    A success status does, too: PHP services write errors under a 200.
    """
    return 200 <= status < 300 or (400 <= status < 500 and status not in _NOT_ABOUT_CREDENTIALS)


def is_refusal(error: CareCloudError) -> bool:
    """Return whether a failed login means wrong credentials, and not a failing server or a proxy's answer."""
    return isinstance(error, ApiError) and refuses_login(error.status)


@frozen
class _Refusal:
    error: CareCloudError
    fingerprint: str | None
    seconds: float
    until: float


class LoginBackoff:
    """The last refused login: wrong credentials must neither load the server nor lock the user's account.

    Each refusal in a row doubles the delay; at its end one caller tries again. A login without a usable answer is
    remembered too, for a shorter time: the server may carry out every one of these logins.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refusal: _Refusal | None = None

    @property
    def until(self) -> float:
        """The end of the delay on the monotonic clock; 0 if no login was refused."""
        return 0.0 if self._refusal is None else self._refusal.until

    async def check(self, provider: AuthProvider) -> None:
        """Raise the remembered refusal while its delay lasts, unless the credentials have changed."""
        refusal = self._refusal
        if refusal is not None and self._clock.monotonic() < refusal.until:
            fingerprint = await _fingerprint(provider)
            if fingerprint is None or fingerprint == refusal.fingerprint:
                raise refusal.error.fresh()

    async def on_failed(self, error: Exception, provider: AuthProvider, digests: list[str]) -> None:
        """Take note of a login that failed.

        Args:
            error: its error; one that says nothing of the credentials delays nothing.
            provider: the identity.
            digests: those of the secrets that the login fetched.
        """
        if isinstance(error, CareCloudError) and is_refusal(error):
            first, most = REFUSED_DELAYS
        elif isinstance(error, ResponseError) and not error.is_retryable:
            first, most = UNUSABLE_DELAYS
        else:
            return
        fingerprint, last = digests[-1] if digests else await _fingerprint(provider), self._refusal
        repeated = last is not None and last.fingerprint == fingerprint
        seconds = min(max(last.seconds * 2, first), most) if last is not None and repeated else first
        # A copy: the raised error keeps every frame of its call alive, with all their variables.
        self._refusal = _Refusal(error.fresh(), fingerprint, seconds, self._clock.monotonic() + seconds)

    def on_new_settings(self) -> None:
        """Forget a refusal without a fingerprint: the identity was given to the client again."""
        if self._refusal is not None and self._refusal.fingerprint is None:
            self._refusal = None

    def clear(self) -> None:
        """Forget the refusal: a login has succeeded."""
        self._refusal = None


async def _fingerprint(provider: AuthProvider) -> str | None:
    with anyio.move_on_after(FINGERPRINT_SECONDS):
        try:
            return await provider.credentials_fingerprint()
        except Exception as error:  # noqa: BLE001  (the user's code; the refusal stands)
            _log.warning(
                "credentials_fingerprint() failed (%s); taking the credentials as unchanged", type(error).__name__
            )
    return None
