"""TokenManager: who renews a token, who waits, and who may go on with the old one.

One caller at a time is the leader of a renewal and runs it within its own call; nothing runs in the background. The
others wait on an event. If the leader is cancelled, one of them takes over.

While the token is still good, a renewal is one try within a few seconds, whoever waits for it: it must not cost a call
that could be made. Once there is no good token, it is patient: failures are repeated.
"""

from __future__ import annotations

import logging

import anyio
from attrs import define, field

from carecloud_async.auth.active_token import ActiveToken
from carecloud_async.auth.customer import session_over
from carecloud_async.auth.login_backoff import LoginBackoff, refuse
from carecloud_async.auth.provider import AuthProvider
from carecloud_async.auth.renewal import CONFLICT_SECONDS, TokenRefresher, is_refusal
from carecloud_async.auth.secret import noting_revealed
from carecloud_async.auth.token import Token
from carecloud_async.errors import ApiError, CareCloudError, RequestTimeoutError, SessionExpiredError
from carecloud_async.runtime.clock import Clock

_log = logging.getLogger("carecloud_async.auth")

#: How long one renewal may take in all, in seconds: without a good token, and while there is one. In the second case it
#: takes a part of its caller's own time at most.
PATIENT_SECONDS = 60.0
HURRIED_SECONDS = 5.0
HURRIED_PART = 0.25
#: After a renewal that failed while the token was good: wait this long, doubling, at most the second figure (seconds).
FIRST_BACKOFF = 1.0
MAX_BACKOFF = 60.0
#: How long a provider may take to say whether its credentials changed (seconds).
MARK_SECONDS = 5.0


@define(eq=False, kw_only=True)
class _Refresh:
    """A renewal under way. Its waiters find the outcome here: a lease, an error, or neither if it was cancelled.

    Attributes:
        afresh: whether it logs in whatever is stored.
        patient: whether failures are repeated.
        dead: the token value that it knows to be refused.
    """

    afresh: bool
    patient: bool
    dead: str | None
    done: anyio.Event = field(factory=anyio.Event)
    lease: ActiveToken | None = None
    error: Exception | None = None


class TokenManager:
    """The token of one identity.

    Args:
        renewal: obtains tokens for the identity.
        clock: the clock.
    """

    def __init__(self, renewal: TokenRefresher, *, clock: Clock) -> None:
        self._renewal = renewal
        self._clock = clock
        self._lease: ActiveToken | None = None
        self._rejected: str | None = None  # the token that the server refused last, until there is another
        self._spare: Token | None = None  # the device token of a session that was logged out
        self._leaving: list[Token] = []  # tokens whose logout did not come through yet
        self._flight: _Refresh | None = None
        self._refusal: LoginBackoff | None = None
        self._backoff = 0.0
        self._quiet_until = 0.0
        self._ended: SessionExpiredError | None = None
        self._rejected_when_fresh: tuple[str, float] | None = None

    @property
    def provider(self) -> AuthProvider:
        """The identity."""
        return self._renewal.provider

    def adopt(self, provider: AuthProvider) -> None:
        """Take over an equal identity's newer settings; what was refused before may be right now."""
        if provider != self.provider:
            self._renewal.provider = provider
            if self._refusal is not None and self._refusal.mark is None:
                self._refusal = None

    def current(self) -> Token | None:
        """Return the token if it is fresh: without a lock, without waiting."""
        lease = self._lease
        return lease.token if lease is not None and self._clock.monotonic() < lease.renew_at else None

    async def get(self, *, rejected: Token | None = None) -> Token:
        """Return a token that the server takes, as far as anyone knows.

        Args:
            rejected: a token that the server answered with 401. If the current one is already another, nobody logs in.

        Raises:
            SessionExpiredError: the session cannot be renewed.
            CareCloudError: the login failed.
        """
        if rejected is not None:
            self._invalidate(rejected.value)
        while True:
            lease = self._usable()
            if lease is not None and not self._renewal_due(lease):
                return lease.token
            if lease is None:
                await self._check_remembered()
            flight = self._flight
            if flight is None:
                return (await self._run_as_leader(lease)).token
            await self._wait_for(flight, lease)
            if flight.lease is not None and flight.lease.token.value != self._rejected:
                return flight.lease.token
            if lease is not None and self._usable() is lease:
                return lease.token
            if flight.error is not None and flight.patient and self._usable() is None:
                raise _for_each(flight.error)

    def refused_at_once(self, token: Token) -> None:
        """Note that the server refused a token on its first use, so that this one is not recreated in a circle.

        A device token is refused by calls that need a customer, too. Every new one would kill its siblings'.
        """
        if self.provider.device_key is not None:
            self._rejected_when_fresh = (token.value, self._clock.monotonic() + CONFLICT_SECONDS)

    def renewal_is_useless(self, token: Token) -> bool:
        """Tell whether a token was made a moment ago and refused at once."""
        value, until = self._rejected_when_fresh or ("", 0.0)
        return token.value == value and self._clock.monotonic() < until

    async def log_in(self) -> Token:
        """Log in now, even if a token is at hand: the server checks the credentials.

        A login that is already under way for the same credentials counts.
        """
        while True:
            if self._ended is not None and not self.provider.renewable:
                raise _for_each(self._ended)
            flight = self._flight
            if flight is None:
                return (await self._run_as_leader(None, afresh=True)).token
            await flight.done.wait()
            if flight.afresh and flight.error is not None:
                raise _for_each(flight.error)
            if flight.afresh and flight.lease is not None:
                return flight.lease.token

    async def log_out(self) -> None:
        """Log out at the server and forget the token; a session then stays ended until `log_in`.

        What could not be logged out, because the server did not answer, is tried again by the next `log_out`.
        """
        while self._flight is not None:
            await self._flight.done.wait()
        lease, self._lease = self._lease, None
        if self.provider.requires_relogin:
            self._ended = session_over("the session was logged out: call login() to open it again")
        token = lease.token if lease is not None else await self._renewal.kept()
        if token is not None and token not in self._leaving:
            self._leaving.append(token)
        while self._leaving:
            await self._leave(self._leaving[0])
            self._leaving = self._leaving[1:]

    async def _leave(self, token: Token) -> None:
        try:
            await self._renewal.log_out(token)
        except CareCloudError as error:
            if getattr(error, "status", None) != 401:
                raise
        else:
            if self.provider.requires_relogin and self.provider.device_key is not None:
                self._spare = Token(token.value)

    def _invalidate(self, value: str) -> None:
        """Note that the server refused a token, unless another has taken its place already."""
        if self._lease is not None and self._lease.token.value == value:
            self._lease, self._rejected = None, value
        elif self._lease is None and self._rejected is None:
            self._rejected = value

    def _usable(self) -> ActiveToken | None:
        lease = self._lease
        return lease if lease is not None and self._clock.monotonic() < lease.ends_at else None

    def _renewal_due(self, lease: ActiveToken) -> bool:
        """Tell whether this caller has to do something about a token that is still good."""
        now = self._clock.monotonic()
        if now < lease.renew_at or now < self._quiet_until:
            return False
        return self._flight is None or now >= lease.require_at

    async def _wait_for(self, flight: _Refresh, lease: ActiveToken | None) -> None:
        if lease is None:
            await flight.done.wait()
            return
        with anyio.move_on_after(_hurried_seconds()):
            await flight.done.wait()

    async def _check_remembered(self) -> None:
        if self._ended is not None:
            raise _for_each(self._ended)
        refusal = self._refusal
        if refusal is None or self._clock.monotonic() >= refusal.until:
            return
        mark = await self._mark()
        if mark is None or mark == refusal.mark:
            raise _for_each(refusal.error)

    async def _mark(self) -> str | None:
        """Ask the provider what its credentials look like now; `None` if it does not say."""
        with anyio.move_on_after(MARK_SECONDS):
            try:
                return await self.provider.secret_mark()
            except Exception as error:  # noqa: BLE001  (the user's code; the refusal stands)
                _log.warning("secret_mark() failed (%s); taking the credentials as unchanged", type(error).__name__)
        return None

    async def _run_as_leader(self, usable: ActiveToken | None, *, afresh: bool = False) -> ActiveToken:
        flight = self._flight = _Refresh(afresh=afresh, patient=usable is None, dead=self._rejected)
        try:
            await self._refresh(flight, usable)
        finally:
            self._flight = None
            flight.done.set()
        if flight.lease is not None:
            return flight.lease
        if usable is not None and self._clock.monotonic() < usable.ends_at:
            return usable
        assert flight.error is not None  # noqa: S101  (it has no other outcome)
        raise flight.error

    async def _refresh(self, flight: _Refresh, usable: ActiveToken | None) -> None:
        with noting_revealed() as revealed:
            try:
                flight.lease = await self._renew(flight, usable)
            except Exception as error:  # noqa: BLE001  (a provider may raise anything; each waiter gets it)
                flight.error = self._as_expired(error, flight)
                await self._note_failure(flight.error, revealed, usable)
            else:
                self._install(flight, flight.lease)

    async def _renew(self, flight: _Refresh, usable: ActiveToken | None) -> ActiveToken:
        seconds = PATIENT_SECONDS if flight.patient else _hurried_seconds()
        with anyio.move_on_after(seconds):
            if flight.afresh:
                current = self._lease.token if self._lease else self._spare
                return await self._renewal.log_in(rejected=flight.dead, current=current)
            lease = await self._renewal.renew(
                rejected=flight.dead, current=usable.token if usable else None, patient=flight.patient
            )
            if lease.token.value == flight.dead and not self.provider.renewable:
                raise session_over()
            return lease
        raise RequestTimeoutError(f"the login took longer than {seconds:.1f} seconds")

    def _install(self, flight: _Refresh, lease: ActiveToken) -> None:
        if lease.token.value == self._rejected != flight.dead:
            return  # refused while it was under way
        self._lease, self._rejected, self._refusal = lease, None, None
        self._backoff = self._quiet_until = 0.0
        if flight.afresh:
            self._ended = self._spare = None

    async def _note_failure(self, error: Exception, revealed: list[str], usable: ActiveToken | None) -> None:
        now = self._clock.monotonic()
        if isinstance(error, SessionExpiredError) and not self.provider.renewable:
            self._lease, self._ended = None, error
        elif isinstance(error, CareCloudError) and is_refusal(error):
            mark = revealed[-1] if revealed else await self._mark()
            self._refusal = refuse(error, mark=mark, last=self._refusal, now=now)
        if usable is not None:
            self._backoff = min(self._backoff * 2 or FIRST_BACKOFF, MAX_BACKOFF)
            refused_until = self._refusal.until if self._refusal is not None else 0.0
            self._quiet_until = min(max(now + self._backoff, refused_until), usable.ends_at)
            _log.warning("token renewal failed (%s); going on with the old one", type(error).__name__)

    def _as_expired(self, error: Exception, flight: _Refresh) -> Exception:
        """Tell a customer whose session died, and who cannot be logged in again, that the session is over."""
        died = flight.dead is not None and not flight.afresh and self.provider.requires_relogin
        if not died or isinstance(error, SessionExpiredError) or not isinstance(error, ApiError):
            return error
        if not is_refusal(error):
            return error
        return SessionExpiredError(
            status=error.status,
            method=error.method,
            path=error.path,
            exception=error.exception,
            request_id=error.request_id,
            hint="the session is over and cannot be renewed: ask the customer to log in again",
        )


def _hurried_seconds() -> float:
    left = anyio.current_effective_deadline() - anyio.current_time()
    return min(HURRIED_SECONDS, max(left, 0.0) * HURRIED_PART)


def _for_each(error: Exception) -> Exception:
    """Give every waiter its own copy, so that tracebacks of strangers do not pile up on one object."""
    return error.fresh() if isinstance(error, CareCloudError) else error
