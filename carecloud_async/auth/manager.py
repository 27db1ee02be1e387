"""TokenManager: who renews a token, who waits, and who may go on with the old one.

One caller at a time is the leader of a renewal and runs it within its own call; nothing runs in the background. The
others wait on an event. If the leader is cancelled, one of them takes over.
"""

from __future__ import annotations

import logging

import anyio
from attrs import define, field

from carecloud_async.auth.lease import Lease
from carecloud_async.auth.provider import AuthProvider
from carecloud_async.auth.refusal import Refusal, refuse
from carecloud_async.auth.renewal import Renewal, is_refusal
from carecloud_async.auth.token import Token
from carecloud_async.clock import Clock
from carecloud_async.errors import CareCloudError, RequestTimeoutError, SessionExpiredError

_log = logging.getLogger("carecloud_async.auth")

#: How long one renewal may take in all, in seconds: with everybody waiting, and while the old token is good.
PATIENT_SECONDS = 60.0
HURRIED_SECONDS = 10.0
#: After a renewal that failed while the token was good: wait this long, doubling, at most the second figure (seconds).
FIRST_BACKOFF = 1.0
MAX_BACKOFF = 60.0


@define(eq=False)
class _Flight:
    """A renewal under way. Its waiters find the outcome here: a lease, an error, or neither if it was cancelled."""

    done: anyio.Event = field(factory=anyio.Event)
    lease: Lease | None = None
    error: Exception | None = None


class TokenManager:
    """The token of one identity.

    Args:
        renewal: obtains tokens for the identity.
        clock: the clock.
    """

    def __init__(self, renewal: Renewal, *, clock: Clock) -> None:
        self._renewal = renewal
        self._clock = clock
        self._lease: Lease | None = None
        self._flight: _Flight | None = None
        self._refusal: Refusal | None = None
        self._backoff = 0.0
        self._quiet_until = 0.0
        self._ended: SessionExpiredError | None = None

    @property
    def provider(self) -> AuthProvider:
        """The identity."""
        return self._renewal.provider

    def adopt(self, provider: AuthProvider) -> None:
        """Take over an equal identity's newer settings; what was refused before may be right now."""
        if provider != self.provider:
            self._renewal.provider = provider
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
        refused_value = rejected.value if rejected is not None else None
        if self._lease is not None and self._lease.token.value == refused_value:
            self._lease = None  # nobody else needs to find out
        while True:
            lease = self._usable(refused_value)
            if lease is not None and not self._renewal_due(lease):
                return lease.token
            await self._check_remembered(lease)
            flight = self._flight
            if flight is None:
                return (await self._lead(lease, refused_value)).token
            await flight.done.wait()
            if flight.lease is not None and flight.lease.token.value != refused_value:
                return flight.lease.token
            if flight.error is not None and self._usable(refused_value) is None:
                raise _for_each(flight.error)

    async def log_in(self) -> Token:
        """Log in now, even if a token is at hand: the server checks the credentials.

        A login that is already under way for the same credentials counts.
        """
        if self._ended is not None and not self.provider.renewable:
            raise _for_each(self._ended)
        self._ended = None
        self._refusal = None
        flight = self._flight
        if flight is None:
            return (await self._lead(None, None, afresh=True)).token
        await flight.done.wait()
        if flight.error is not None:
            raise _for_each(flight.error)
        return flight.lease.token if flight.lease is not None else await self.log_in()

    async def log_out(self) -> None:
        """Log out at the server and forget the token; a session then stays ended until `log_in`."""
        lease, self._lease = self._lease, None
        token = lease.token if lease is not None else await self._renewal.kept()
        if self.provider.ends_with_logout:
            self._ended = _ended("the session was logged out: call login() to open it again")
        if token is None:
            return
        try:
            await self._renewal.log_out(token)
        except CareCloudError as error:
            if getattr(error, "status", None) != 401:
                raise

    def _usable(self, refused: str | None) -> Lease | None:
        lease = self._lease
        if lease is None or lease.token.value == refused or self._clock.monotonic() >= lease.ends_at:
            return None
        return lease

    def _renewal_due(self, lease: Lease) -> bool:
        """Tell whether this caller has to do something about a token that is still good."""
        now = self._clock.monotonic()
        if now < lease.renew_at or now < self._quiet_until:
            return False
        return self._flight is None or now >= lease.require_at

    async def _check_remembered(self, lease: Lease | None) -> None:
        if lease is not None:
            return
        if self._ended is not None:
            raise _for_each(self._ended)
        refusal = self._refusal
        if refusal is None or self._clock.monotonic() >= refusal.until:
            return
        if await self.provider.secret_mark() == refusal.mark:
            raise _for_each(refusal.error)

    async def _lead(self, usable: Lease | None, refused: str | None, *, afresh: bool = False) -> Lease:
        flight = self._flight = _Flight()
        try:
            flight.lease = self._lease = await self._renew(usable, refused, afresh=afresh)
        except Exception as error:  # noqa: BLE001  (a provider may raise anything; each waiter gets it)
            flight.error = error
            return await self._after_failure(error, usable)
        finally:
            self._flight = None
            flight.done.set()
        self._refusal, self._backoff, self._quiet_until = None, 0.0, 0.0
        return flight.lease

    async def _renew(self, usable: Lease | None, refused: str | None, *, afresh: bool) -> Lease:
        patient = usable is None or self._clock.monotonic() >= usable.require_at
        seconds = PATIENT_SECONDS if patient else HURRIED_SECONDS
        with anyio.move_on_after(seconds) as scope:
            if afresh:
                return await self._renewal.log_in(current=self._lease.token if self._lease else None)
            lease = await self._renewal.renew(
                rejected=refused, current=usable.token if usable else None, patient=patient
            )
            if lease.token.value == refused and not self.provider.renewable:
                self._ended = _ended("the session is over at the server: ask the customer to log in again")
                raise _for_each(self._ended)
            return lease
        assert scope.cancelled_caught  # noqa: S101  (the only other way out of the block)
        raise RequestTimeoutError(f"the login took longer than {seconds:.0f} seconds")

    async def _after_failure(self, error: Exception, usable: Lease | None) -> Lease:
        """Go on with a token that is still good, whatever became of its renewal; else give up."""
        now = self._clock.monotonic()
        if isinstance(error, CareCloudError) and is_refusal(error) and not isinstance(error, SessionExpiredError):
            self._refusal = refuse(error, mark=await self.provider.secret_mark(), last=self._refusal, now=now)
        if usable is None or now >= usable.ends_at:
            raise error
        self._backoff = min(self._backoff * 2 or FIRST_BACKOFF, MAX_BACKOFF)
        self._quiet_until = min(now + self._backoff, usable.ends_at)
        _log.warning("token renewal failed (%s); going on with the old one", type(error).__name__)
        return usable


def _ended(hint: str) -> SessionExpiredError:
    return SessionExpiredError(status=401, method="", path="", hint=hint)


def _for_each(error: Exception) -> Exception:
    """Give every waiter its own copy, so that tracebacks of strangers do not pile up on one object."""
    return error.fresh() if isinstance(error, CareCloudError) else error
