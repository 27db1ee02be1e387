"""Tokens: the token of one identity, and who renews it when; the registry of all identities of a client.

- Before its end a token is renewed by one caller. In the advisory window the others go on with the old token, in the
  mandatory window they wait for a moment. An early renewal is one attempt of a few seconds, because its failure must
  not fail a call that the old token can serve; the next one is tried after `RENEWAL_PAUSE`.
- Without a valid token one caller logs in, within its own call, and the others wait. If it is cancelled, one of them
  takes over. Nothing runs in the background.
- After a 401 the token is replaced, and the call is sent once more. If the new token is refused too, it is not replaced
  before it is five seconds old: a path that always answers 401 does not cost a login a call.
- Refused credentials are not sent again for some time, unless they have changed.
- The store is read under its lock before a login, because another process may have logged in, and written after it.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

import anyio
from attrs import evolve, frozen

from carecloud_async._base.runtime.clock import Clock, doubled
from carecloud_async._calls.auth.provider import AuthProvider, session_lost, session_over
from carecloud_async._calls.auth.secret import digest, keyed_digest
from carecloud_async._calls.auth.token import ActiveToken, Token
from carecloud_async._calls.auth.token_source import CONFLICT_SECONDS, TokenSource
from carecloud_async.errors import (
    ApiError,
    CareCloudError,
    ConfigurationError,
    RequestTimeoutError,
    SessionExpiredError,
)

_log = logging.getLogger("carecloud_async.auth")

UNAUTHORIZED = 401

#: The default number of identities, in use or idle, that keep their token in memory.
MAX_SESSIONS = 1024

#: The longest duration of a login without a valid token (seconds).
RETRY_SECONDS = 60.0
#: The limits of a renewal while a token is valid: in seconds, and as a part of the time that the caller has left.
EARLY_SECONDS = 5.0
EARLY_PART = 0.25
#: The wait after an early renewal that failed (seconds).
RENEWAL_PAUSE = 30.0
#: If the replacement of a refused token is refused as well, the wait before it is replaced again (seconds); for a
#: device it is `CONFLICT_SECONDS`.
KEPT_SECONDS = 5.0
#: After a refused login: seconds until the next one, and where the doubling ends.
LOGIN_REFUSED_DELAYS = (30.0, 900.0)
#: How long a provider may take to return its `credentials_fingerprint` (seconds).
FINGERPRINT_SECONDS = 5.0

#: Statuses of a server that is busy, wants the request later, or finds it too long or too large.
_NOT_ABOUT_CREDENTIALS = {408, 413, 414, 425, 429, 431}


@frozen
class _Refusal:
    """The last refused login.

    Attributes:
        error: its error, without the frames of its call.
        fingerprint: that of the credentials.
        times: how often they were refused before.
        until: until when they are not sent again, on the monotonic clock.
    """

    error: CareCloudError
    fingerprint: str | None
    times: int
    until: float


class _Renewal:
    """A renewal under way. It holds the outcome for those who wait: a token, an error, or neither if it was cancelled.

    Args:
        forced: whether it logs in even if a token is stored.
        early: whether the old token is still good: then nothing is repeated.
    """

    def __init__(self, *, forced: bool, early: bool) -> None:
        self.forced = forced
        self.early = early
        self.done = anyio.Event()
        self.token: Token | None = None
        self.error: Exception | None = None


class Tokens:
    """The token of one identity.

    Args:
        source: where they come from.
    """

    def __init__(self, source: TokenSource, *, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._active: ActiveToken | None = None
        self._renewal: _Renewal | None = None
        #: The value that the server refused last, while there is no token.
        self._rejected: str | None = None
        self._kept_until = -math.inf
        self._refusal: _Refusal | None = None
        #: The error of every call until the next `log_in`: the session was logged out, or is over at the server.
        self._over: SessionExpiredError | None = None
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
            self._source.provider, self._refusal = provider, None

    def current(self) -> Token | None:
        """Return the token if it is fresh: without a lock, without waiting."""
        active = self._active
        return active.token if active is not None and self._clock.monotonic() < active.renew_at else None

    async def get(self) -> Token:
        """Return a token that is believed to be valid.

        Raises:
            SessionExpiredError: the session cannot be renewed.
            CareCloudError: the login failed.
        """
        while True:
            now, active = self._clock.monotonic(), self._valid()
            if active is not None and now < active.renew_at:
                return active.token
            if active is None:
                await self._check()
            renewal = self._renewal
            if renewal is None:
                return await self._renew(active)
            if active is not None and now < active.require_at:
                return active.token
            with anyio.move_on_after(math.inf if active is None else _early_seconds()):
                await renewal.done.wait()
            if renewal.token is not None:
                return renewal.token
            if active is not None and self._valid() is not None:
                return active.token  # the renewal failed or takes long: the old token is still good
            if renewal.error is not None and not renewal.early:
                raise _copy(renewal.error)
            # It was cancelled, or its single attempt failed and no token is left: begin again.

    async def after_401(self, refused: Token, *, replayed: bool) -> Token | None:
        """Return another token, to send a call once more; `None` if its refusal is final.

        Args:
            refused: the token that CareCloud answered with 401.
            replayed: whether the call was sent with another token before.

        Raises:
            CareCloudError: see `get`.
        """
        active = self._active
        is_current = active is not None and active.token.value == refused.value
        if replayed and is_current:
            seconds = KEPT_SECONDS if self.provider.device_key is None else CONFLICT_SECONDS
            self._kept_until = self._source.replaced_at + seconds
        if replayed or (is_current and self._clock.monotonic() < self._kept_until):
            return None
        if is_current:
            self._active, self._rejected = None, refused.value
            if not self.provider.renewable:
                self._over = session_over()
        return await self.get()

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

        If the logout fails, the next `log_out` tries again.
        """
        while self._renewal is not None:
            await self._renewal.done.wait()
        active, self._active = self._active, None
        if self.provider.requires_relogin:
            self._over = session_over("the session was logged out: call login() to open it again")
        self._leaving = active.token if active is not None else self._leaving or await self._source.find()
        if self._leaving is None:
            return
        try:
            await self._source.log_out(self._leaving)
        except ApiError as error:
            if error.status != UNAUTHORIZED:
                raise
        self._leaving = None

    async def forget(self, token: Token) -> None:
        """Discard the stored records of a token that was logged out by other means."""
        await self._source.forget(token)

    def _valid(self) -> ActiveToken | None:
        active = self._active
        return active if active is not None and self._clock.monotonic() < active.ends_at else None

    async def _check(self) -> None:
        """Raise the error of a session that has ended, or of credentials that were refused a moment ago."""
        refusal = self._refusal
        if self._over is None and refusal is not None and self._clock.monotonic() < refusal.until:
            fingerprint = await _fingerprint(self.provider)
            if fingerprint is None or fingerprint == refusal.fingerprint:
                raise refusal.error.fresh()
        if self._over is not None:
            raise _copy(self._over)

    async def _renew(self, active: ActiveToken | None, *, forced: bool = False) -> Token:
        """Renew the token for all callers; return the new one, or the old one if it is still good."""
        renewal = self._renewal = _Renewal(forced=forced, early=active is not None)
        try:
            obtained = await self._obtain_in_time(renewal, active)
        except Exception as error:  # noqa: BLE001  (a provider may raise anything; each waiter gets it)
            renewal.error = await self._on_failure(error, renewal)
        else:
            renewal.token, self._active = obtained.token, obtained
            self._rejected = self._over = self._refusal = None
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
        seconds = _early_seconds() if renewal.early else RETRY_SECONDS
        held = self._active if renewal.forced else active
        with anyio.move_on_after(seconds):
            return await self._source.obtain(
                current=None if held is None else held.token,
                rejected=self._rejected,
                forced=renewal.forced,
                patient=not renewal.early,
            )
        raise RequestTimeoutError(f"the login took longer than {seconds:.1f} seconds")

    async def _on_failure(self, error: Exception, renewal: _Renewal) -> Exception:
        """Take note of a renewal that failed; return its error for the callers."""
        if isinstance(error, SessionExpiredError) and not self.provider.renewable:
            self._over, self._active = error.fresh(), None
        elif isinstance(error, ApiError) and refuses_login(error.status):
            if self._rejected is not None and not renewal.forced and self.provider.requires_relogin:
                error = session_lost(error)
            await self._remember(error)
        if renewal.early:
            _log.warning("token renewal failed (%s); going on with the old one", type(error).__name__)
            if self._active is not None:
                pause = self._clock.monotonic() + RENEWAL_PAUSE
                until = pause if self._refusal is None else max(pause, self._refusal.until)
                self._active = evolve(self._active, renew_at=min(until, self._active.ends_at))
        return error

    async def _remember(self, error: ApiError) -> None:
        """Take note of refused credentials, which must neither load the server nor lock the user's account."""
        fingerprint, last = await _fingerprint(self.provider), self._refusal
        times = last.times + 1 if last is not None and last.fingerprint == fingerprint else 0
        first, longest = LOGIN_REFUSED_DELAYS
        until = self._clock.monotonic() + doubled(first, times, longest=longest)
        # A copy: the raised error keeps every frame of its call alive, with all their variables.
        self._refusal = _Refusal(error.fresh(), fingerprint, times, until)


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
    """Return whether a login with an error of CareCloud says by its status that the credentials are wrong."""
    return 400 <= status < 500 and status not in _NOT_ABOUT_CREDENTIALS


async def _fingerprint(provider: AuthProvider) -> str | None:
    with anyio.move_on_after(FINGERPRINT_SECONDS):
        try:
            return await provider.credentials_fingerprint()
        except Exception as error:  # noqa: BLE001  (the user's code; the refusal stands)
            _log.warning(
                "credentials_fingerprint() failed (%s); taking the credentials as unchanged", type(error).__name__
            )
    return None


@frozen(eq=False)
class IdentityHandle:
    """Shared by the views of one identity: as long as one of them lives, the identity owns its device.

    Attributes:
        tokens: the identity's tokens.
    """

    tokens: Tokens


class IdentityRegistry:
    """The tokens of each identity of one client; no device may serve two identities.

    Those in use are found through the views that hold them. Idle ones are kept for a while and then dropped; their
    tokens come back from the token store, where the identity is stored.

    Args:
        make_tokens: makes the tokens of an identity.
        max_sessions: how many identities keep their token; the least recently used idle ones are dropped first.
    """

    def __init__(self, make_tokens: Callable[[AuthProvider], Tokens], *, max_sessions: int = MAX_SESSIONS) -> None:
        self._make_tokens = make_tokens
        self._max_sessions = max_sessions
        self._handles: WeakValueDictionary[Hashable, IdentityHandle] = WeakValueDictionary()
        self._device_owners: WeakValueDictionary[str, IdentityHandle] = WeakValueDictionary()
        #: Those of idle identities too, most recently used last.
        self._tokens: OrderedDict[Hashable, Tokens] = OrderedDict()

    def acquire(self, provider: AuthProvider) -> IdentityHandle:
        """Return the handle of an identity, the same one for equal identities in use whose session has not ended.

        Raises:
            ConfigurationError: the identity's device already serves another one.
        """
        key = self._key(provider)
        handle = self._handles.get(key)
        if handle is None or _is_over(handle.tokens):
            tokens = self._tokens.get(key)
            if tokens is None or _is_over(tokens):
                tokens = self._make_tokens(provider)
            handle = IdentityHandle(tokens)
        self.claim(handle)
        self._handles[key] = handle
        handle.tokens.adopt(provider)
        self._tokens[key] = handle.tokens
        self._tokens.move_to_end(key)
        if len(self._tokens) > self._max_sessions:
            self._tokens.popitem(last=False)
        return handle

    def claim(self, handle: IdentityHandle) -> None:
        """Make an identity the owner of its device; again, when it logs in after a logout.

        Raises:
            ConfigurationError: the device serves another one.
        """
        provider = handle.tokens.provider
        if provider.device_key is None:
            return
        owner = self._device_owners.get(provider.device_key)
        if owner is not None and owner.tokens.provider.identity_key != provider.identity_key:
            raise ConfigurationError(
                "this device already serves another identity of this client, and a login would take its token over: "
                "give each customer and each installation its own device_id (Device(device_id=None, …) makes a random "
                "one), or log the other one out first"
            )
        self._device_owners[provider.device_key] = handle

    def release(self, handle: IdentityHandle) -> None:
        """Free the device of an identity that was logged out."""
        device_key = handle.tokens.provider.device_key
        if device_key is not None and self._device_owners.get(device_key) is handle:
            del self._device_owners[device_key]

    @staticmethod
    def _key(provider: AuthProvider) -> Hashable:
        # Equal identities with different secrets must not share a token: one of them may be a guess. Two callables may
        # return different secrets.
        secret = provider.secret
        if isinstance(secret, str):
            return provider.identity_key, keyed_digest(secret)
        return provider.identity_key, _hashable(secret)


def _is_over(tokens: Tokens) -> bool:
    """Return whether a resumed session has ended for the views that have it.

    The customer may log in again on the same token: a session that is resumed after that is another.
    """
    return tokens.ended and not tokens.provider.renewable


def _hashable(fetch: Hashable) -> Hashable:
    try:
        hash(fetch)
    except TypeError:
        return id(fetch)  # the tokens keep the object, so that no other one gets its id
    return fetch
