"""Tokens: the token of one identity, and who renews it when.

- Before its end a token is renewed by one caller. In the advisory window the others go on with the old token, in the
  mandatory window they wait for a moment. An early renewal is one attempt of a few seconds, because its failure must
  not fail a call that the old token can serve; the next one is tried after `RENEWAL_PAUSE`.
- Without a valid token one caller logs in, within its own call, and the others wait. If it is cancelled, one of them
  takes over. Nothing runs in the background.
- After a 401 the token is replaced, and the call is sent once more. If that is refused too, the token is not the cause,
  and a 401 of this operation renews nothing for some time: a path that always answers 401 does not cost a login a call.
- Refused credentials are not sent again for some time, unless they have changed.
- The store is read under its lock before a login, because another process may have logged in, and written after it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import anyio
from attrs import field, frozen

from carecloud_async._base.codec.answers import refusal
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.collector import Collector
from carecloud_async._calls.auth.provider import AuthProvider, session_lost, session_over
from carecloud_async._calls.auth.secret import digest, fetched_digests
from carecloud_async._calls.auth.token import ActiveToken, Token
from carecloud_async._calls.auth.token_source import CONFLICT_SECONDS, TokenSource
from carecloud_async.errors import (
    ApiError,
    CareCloudError,
    RequestTimeoutError,
    ResponseError,
    SessionExpiredError,
)

_log = logging.getLogger("carecloud_async.auth")

#: The logins that a renewal sends. Observers learn from it which login a call waited for.
sent_logins: Collector[object] = Collector("sent_logins")

UNAUTHORIZED = 401

#: The longest duration of a login without a valid token (seconds).
RETRY_SECONDS = 60.0
#: The limits of a renewal while a token is valid: in seconds, and as a part of the time that the caller has left.
EARLY_SECONDS = 5.0
EARLY_PART = 0.25
#: The wait after an early renewal that failed (seconds).
RENEWAL_PAUSE = 30.0
#: After a 401 that a new token did not cure: seconds until a 401 of the operation causes a renewal again; the second
#: figure is where the doubling ends.
REFUSED_DELAYS = (5.0, 900.0)
#: The number of operations whose refusals one identity remembers.
_MOST_REFUSALS = 256
#: After a refused login: seconds until the next one, and where the doubling ends.
LOGIN_REFUSED_DELAYS = (30.0, 900.0)
#: The same after a login whose success or redirect brought no token, such as a page with 200.
UNUSABLE_DELAYS = (1.0, 30.0)
#: How long a provider may take to return its `credentials_fingerprint` (seconds).
FINGERPRINT_SECONDS = 5.0

#: Statuses of a server that is busy, wants the request later, or finds it too long or too large.
_NOT_ABOUT_CREDENTIALS = {408, 413, 414, 425, 429, 431}


@frozen
class _RefusedToken:
    """A new token that an operation refused: until a time on the monotonic clock, its 401 renews nothing."""

    token: str = field(repr=False)
    seconds: float
    until: float


class _Renewal:
    """A renewal under way. It holds the outcome for those who wait: a token, an error, or neither if it was cancelled.

    Args:
        forced: whether it logs in even if a token is stored.
        patient: whether failures are repeated.
        rejected: the token value that the server refused last.
    """

    def __init__(self, *, forced: bool, patient: bool, rejected: str | None) -> None:
        self.forced = forced
        self.patient = patient
        self.rejected = rejected
        self.done = anyio.Event()
        self.token: Token | None = None
        self.error: Exception | None = None
        self.logins: list[object] = []


class Tokens:
    """The token of one identity.

    Args:
        source: where they come from.
    """

    def __init__(self, source: TokenSource, *, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._of_device = source.provider.device_key is not None
        self._active: ActiveToken | None = None
        self._renewal: _Renewal | None = None
        #: The value that the server refused last, while there is no token.
        self._rejected: str | None = None
        #: The error of every call until the next `log_in`: the session was logged out, or is over at the server.
        self._over: SessionExpiredError | None = None
        #: The device's own token, which a logout released for the next login.
        self._device_token: Token | None = None
        self._backoff = LoginBackoff(clock)
        self._no_renewal_until = -math.inf
        #: By operation (for a device: by token, because each new one would end that of concurrent calls).
        self._refusals: dict[str, _RefusedToken] = {}
        #: The token whose logout has not been answered yet.
        self._leaving: Token | None = None

    @property
    def provider(self) -> AuthProvider:
        """The identity; an equal one with other settings may take its place."""
        return self._source.provider

    @property
    def has_token(self) -> bool:
        """Whether there is a token that is believed to be valid."""
        return self._valid() is not None

    @property
    def token_digest(self) -> str | None:
        """The digest of the current token; `None` without a valid one."""
        active = self._valid()
        return None if active is None else digest(active.token.value)

    @property
    def ended(self) -> bool:
        """Whether the identity's session has ended until the next `log_in`."""
        return self._over is not None

    def adopt(self, provider: AuthProvider) -> None:
        """Take over an equal identity's newer settings; credentials refused before may be right now."""
        if provider != self.provider:
            self._source.provider = provider
            self._backoff.on_new_settings()

    def current(self) -> Token | None:
        """Return the token if it is fresh: without a lock, without waiting."""
        active = self._active
        return active.token if active is not None and self._clock.monotonic() < active.renew_at else None

    async def get(self, *, on_wait: Callable[[object], None] | None = None) -> Token:
        """Return a token that is believed to be valid.

        Args:
            on_wait: called with each login of another call that this call waited for; see `sent_logins`.

        Raises:
            SessionExpiredError: the session cannot be renewed.
            CareCloudError: the login failed.
        """
        while True:
            now, active = self._clock.monotonic(), self._valid()
            if active is not None and (now < active.renew_at or now < self._no_renewal_until):
                return active.token
            if active is None:
                if self._over is None:
                    await self._backoff.check(self.provider)
                if self._over is not None:  # perhaps since the check
                    raise _copy(self._over)
            renewal = self._renewal
            if renewal is None:
                return await self._renew(active)
            if active is not None and now < active.require_at:
                return active.token
            with anyio.move_on_after(math.inf if active is None else _early_seconds()):
                await renewal.done.wait()
            if on_wait is not None:
                for login in renewal.logins:
                    on_wait(login)
            if renewal.token is not None and renewal.token.value != self._rejected:
                return renewal.token
            if active is not None and self._valid() is active:
                return active.token  # the renewal failed or takes long: the old token is still good
            if renewal.error is not None and renewal.patient and self._valid() is None:
                raise _copy(renewal.error)
            # It was cancelled, or its single attempt failed and no token is left: begin again.

    async def after_401(
        self, refused: Token, operation: str, *, replays: int, on_wait: Callable[[object], None] | None = None
    ) -> Token | None:
        """Return another token, to send a call once more; `None` if its refusal is final.

        Args:
            refused: the token that the server answered with 401.
            operation: the method and path template of the call.
            replays: how often the call was sent with another token before.
            on_wait: see `get`.

        Raises:
            CareCloudError: see `get`.
        """
        now, active = self._clock.monotonic(), self._active
        is_current = active is not None and active.token.value == refused.value
        # A token that another process left in the store may be as dead as the one before: it is replaced once.
        if replays and not (replays == 1 and is_current and active is not None and active.from_store):
            if is_current and active is not None and (self._of_device or now - active.since < CONFLICT_SECONDS):
                self._note_refusal(operation, refused.value)
            return None
        if is_current or active is None:
            delay = self._refusals.get(refused.value if self._of_device else operation)
            if delay is not None and now < delay.until:
                return None
            self._rejected = refused.value if is_current or self._rejected is None else self._rejected
            self._active = None
        return await self.get(on_wait=on_wait)

    def renews_after(self, body: bytes, *, repeatable: bool) -> bool:
        """Return whether a 401 is about the token.

        One with CareCloud's error is. One without may be a proxy's: a read is sent with a new token all the same, which
        costs a login, unless the answer is a page, or a new token would end one that may be good.

        Args:
            body: the body of the answer.
            repeatable: whether the call may be sent twice although the first request may have had an effect.
        """
        if refusal(body) is not None:
            return True
        return repeatable and not self._of_device and self.provider.renewable and body.lstrip()[:1] != b"<"

    def on_served(self, operation: str) -> None:
        """Take note that the server served an operation: its next 401 causes a renewal again."""
        if self._refusals:
            self._refusals.pop(operation, None)

    async def log_in(self) -> Token:
        """Log in now, even if there is a token: the server checks the credentials.

        A login that is already under way for the same credentials counts.
        """
        while True:
            if self._over is not None and not self.provider.renewable:
                raise _copy(self._over)
            renewal = self._renewal
            if renewal is None:
                return await self._renew(None, forced=True)
            await renewal.done.wait()
            if renewal.forced and renewal.error is not None:
                raise _copy(renewal.error)
            if renewal.forced and renewal.token is not None:
                return renewal.token

    async def log_out(self) -> None:
        """Log out at the server and forget the token; a session then stays ended until `log_in`.

        If the server does not answer, the next `log_out` tries again; a refusal is final.
        """
        while self._renewal is not None:
            await self._renewal.done.wait()
        active, self._active = self._active, None
        if self.provider.requires_relogin:
            self._over = session_over("the session was logged out: call login() to open it again")
        token = active.token if active is not None else self._leaving or await self._source.find()
        if token is None:
            return
        self._leaving = token
        try:
            await self._source.log_out(token)
        except ApiError as error:
            if is_refusal(error):
                self._leaving = None
            if error.status != UNAUTHORIZED:
                raise
        else:
            self._leaving = None
            if self.ended and self._of_device:
                self._device_token = Token(token.value)

    async def forget(self, token: Token) -> None:
        """Discard the stored records of a token that was logged out by other means."""
        await self._source.forget(token)

    def _valid(self) -> ActiveToken | None:
        active = self._active
        return active if active is not None and self._clock.monotonic() < active.ends_at else None

    def _note_refusal(self, operation: str, token: str) -> None:
        """Remember that a new token was refused too; concurrent calls that were refused with it count once."""
        key = token if self._of_device else operation
        last = self._refusals.pop(key, None)
        if last is None or last.token != token:
            first = CONFLICT_SECONDS if self._of_device else REFUSED_DELAYS[0]
            seconds = first if last is None else min(last.seconds * 2, REFUSED_DELAYS[1])
            last = _RefusedToken(token, seconds, self._clock.monotonic() + seconds)
        self._refusals[key] = last
        if len(self._refusals) > _MOST_REFUSALS:
            del self._refusals[next(iter(self._refusals))]

    async def _renew(self, active: ActiveToken | None, *, forced: bool = False) -> Token:
        """Renew the token for all callers; return the new one, or the old one if it is still good."""
        renewal = self._renewal = _Renewal(forced=forced, patient=active is None, rejected=self._rejected)
        try:
            with sent_logins.collect() as renewal.logins, fetched_digests.collect() as digests:
                try:
                    obtained = await self._obtain_in_time(renewal, active)
                except Exception as error:  # noqa: BLE001  (a provider may raise anything; each waiter gets it)
                    renewal.error = self._as_expired(error, renewal)
                    await self._on_failure(renewal.error, digests, active)
                else:
                    renewal.token = obtained.token
                    # The server may have refused it for another call meanwhile.
                    if obtained.token.value != self._rejected or self._rejected == renewal.rejected:
                        self._install(obtained)
        finally:
            self._renewal = None
            renewal.done.set()
        if renewal.token is not None:
            return renewal.token
        if active is not None and self._clock.monotonic() < active.ends_at:
            return active.token
        assert renewal.error is not None  # noqa: S101  (there is no other outcome)
        raise renewal.error

    async def _obtain_in_time(self, renewal: _Renewal, active: ActiveToken | None) -> ActiveToken:
        seconds = RETRY_SECONDS if renewal.patient else _early_seconds()
        if renewal.forced:
            current = self._device_token if self._active is None else self._active.token
        else:
            current = None if active is None else active.token
        with anyio.move_on_after(seconds):
            obtained = await self._source.obtain(
                current=current, rejected=renewal.rejected, forced=renewal.forced, patient=renewal.patient
            )
            if not renewal.forced and obtained.token.value == renewal.rejected and not self.provider.renewable:
                raise session_over()
            return obtained
        raise RequestTimeoutError(f"the login took longer than {seconds:.1f} seconds")

    def _install(self, obtained: ActiveToken) -> None:
        self._active = obtained
        self._rejected = self._over = self._device_token = None
        self._backoff.clear()
        self._no_renewal_until = -math.inf

    async def _on_failure(self, error: Exception, digests: list[str], active: ActiveToken | None) -> None:
        if isinstance(error, SessionExpiredError) and not self.provider.renewable:
            self._over, self._active = error.fresh(), None
        else:
            await self._backoff.on_failed(error, self.provider, digests)
        if active is not None:
            until = max(self._clock.monotonic() + RENEWAL_PAUSE, self._backoff.until)
            self._no_renewal_until = min(until, active.ends_at)
            _log.warning("token renewal failed (%s); going on with the old one", type(error).__name__)

    def _as_expired(self, error: Exception, renewal: _Renewal) -> Exception:
        """Return a SessionExpiredError in place of the refusal of a customer whose session had ended."""
        session_ended = renewal.rejected is not None and not renewal.forced and self.provider.requires_relogin
        if not session_ended or not isinstance(error, ApiError) or not is_refusal(error):
            return error
        return error if isinstance(error, SessionExpiredError) else session_lost(error)


def _early_seconds() -> float:
    """Return how long the running task may renew a token that is still valid, or wait for that."""
    left = anyio.current_effective_deadline() - anyio.current_time()
    return min(EARLY_SECONDS, max(left, 0.0) * EARLY_PART)


def _copy(error: Exception) -> Exception:
    """Return a copy for one waiter, so that callers' tracebacks do not accumulate on one exception."""
    if not isinstance(error, CareCloudError):
        return error
    copy = error.fresh()
    copy.__cause__ = error.__cause__
    return copy


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
            first, most = LOGIN_REFUSED_DELAYS
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
