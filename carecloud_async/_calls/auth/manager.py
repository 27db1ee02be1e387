"""TokenManager: decides which caller renews an identity's token, which wait, and which may use the old one.

One caller at a time is the leader of a refresh and runs it within its own call; nothing runs in the background. The
others wait. If the leader is cancelled, the waiter with the most time left takes over.

While the token is still valid, a refresh is a single attempt of a few seconds, even if other callers wait for it: its
failure must not fail a call that the old token could serve. Without a valid token, failures are retried.

The token is in one of three states: `ActiveToken` (in use), `NoToken` (none yet, or the server refused the last one),
`Ended` (logged out, or over at the server: only `log_in` leaves it).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
from attrs import evolve

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.collector import Collector
from carecloud_async._calls.auth.login_backoff import LoginBackoff, RenewalBackoff, is_refusal
from carecloud_async._calls.auth.provider import AuthProvider, session_lost, session_over
from carecloud_async._calls.auth.renewal import (
    CONFLICT_SECONDS,
    Refresh,
    TokenRefresher,
    copy_for_caller,
    early_seconds,
)
from carecloud_async._calls.auth.renewal_rules import RenewalRules
from carecloud_async._calls.auth.secret import digest, fetched_digests
from carecloud_async._calls.auth.token import ActiveToken, Ended, NoToken, Token
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    CareCloudError,
    RequestTimeoutError,
    SessionExpiredError,
)

_log = logging.getLogger("carecloud_async.auth")

#: The logins that a refresh sends. Observers learn from it which login a call waited for.
sent_logins: Collector[object] = Collector("sent_logins")

#: Longest duration of a refresh without a valid token (seconds); with one, see `early_seconds`.
RETRY_SECONDS = 60.0
#: How long a provider may take to return its `credentials_fingerprint` (seconds).
FINGERPRINT_SECONDS = 5.0


class TokenManager:
    """The token of one identity.

    Args:
        refresher: obtains tokens for the identity.
        retry_seconds: the longest duration of a refresh without a valid token.
    """

    def __init__(self, refresher: TokenRefresher, *, clock: Clock, retry_seconds: float = RETRY_SECONDS) -> None:
        self._refresher = refresher
        self._retry_seconds = retry_seconds
        self._of_device = refresher.provider.device_key is not None
        self._clock = clock
        self._state: ActiveToken | NoToken | Ended = NoToken()
        self._refresh: Refresh | None = None
        self._login_backoff = LoginBackoff(clock)
        self._renewal_backoff = RenewalBackoff()
        self._rules = RenewalRules(clock, of_device=self._of_device)
        #: Tokens whose logout has not been answered yet, oldest first.
        self._to_log_out: list[Token] = []

    @property
    def provider(self) -> AuthProvider:
        """The identity."""
        return self._refresher.provider

    @property
    def has_token(self) -> bool:
        """Whether there is a token that is believed to be valid."""
        return self._active() is not None

    @property
    def token_digest(self) -> str | None:
        """The digest of the current token; `None` without a valid one."""
        active = self._active()
        return None if active is None else digest(active.token.value)

    @property
    def ended(self) -> bool:
        """Whether the identity's session has ended until the next `log_in`."""
        return isinstance(self._state, Ended)

    @property
    def renewal_is_harmless(self) -> bool:
        """Whether a renewal costs no more than a login: a device's new token ends the old one, which may be good."""
        return not self._of_device and self.provider.renewable

    def adopt(self, provider: AuthProvider) -> None:
        """Take over an equal identity's newer settings; credentials refused before may be right now."""
        if provider != self.provider:
            self._refresher.provider = provider
            self._login_backoff.on_new_settings()

    def current(self) -> Token | None:
        """Return the token if it is fresh: without a lock, without waiting."""
        state = self._state
        if type(state) is ActiveToken and self._clock.monotonic() < state.renew_at:
            return state.token
        return None

    async def get(self, *, rejected: Token | None = None, on_wait: Callable[[object], None] | None = None) -> Token:
        """Return a token that is believed to be valid.

        Args:
            rejected: a token that the server answered with 401. If the current one differs already, no login is sent.
            on_wait: called with each login of another call that this call waited for; see `sent_logins`.

        Raises:
            SessionExpiredError: the session cannot be renewed.
            CareCloudError: the login failed.
        """
        if rejected is not None:
            self._invalidate(rejected.value)
        while True:
            active = self._active()
            if active is not None and not self._must_renew(active):
                return active.token
            if active is None:
                await self._raise_remembered()
            refresh = self._refresh
            if refresh is None:
                return (await self._run_as_leader(active)).token
            await self._wait_for(refresh, active)
            if on_wait is not None:
                for login in refresh.logins:
                    on_wait(login)
            if refresh.result is not None and refresh.result.token.value != self._rejected:
                return refresh.result.token
            if active is not None and self._active() is active:
                return active.token  # the renewal failed or takes long: the old token is still good
            if refresh.error is not None and refresh.retry and self._active() is None:
                raise copy_for_caller(refresh.error)
            # The leader was cancelled, or its single attempt failed and no token is left: begin again.

    def may_renew(self, token: Token, operation: str) -> bool:
        """Return whether another token may cure a 401; see `RenewalRules.may_renew`."""
        active = self._active()
        if active is not None and active.token.value != token.value:
            return True  # it is there already, and costs no login
        return self._rules.may_renew(token, operation)

    def is_from_store(self, token: Token) -> bool:
        """Return whether a token was taken from the store, so that it may be as old as one that was refused."""
        active = self._active()
        return active is not None and active.from_store and active.token.value == token.value

    def may_have_died(self, operation: str) -> bool:
        """Return whether a refused token of the store may be as dead as the one before it, and is to be replaced.

        That of a device may be good, if the operation was never allowed: the call may need a customer, and a new token
        would end that of other workers.
        """
        return not self._of_device or self._rules.was_served(operation)

    def on_fresh_token_refused(self, token: Token, operation: str) -> None:
        """Remember that the server refused the token of a replay; if that was fresh, a newer one would not help."""
        state = self._state
        fresh = (
            isinstance(state, ActiveToken)
            and state.token.value == token.value
            and self._clock.monotonic() - state.since < CONFLICT_SECONDS
        )
        self._rules.on_refused(token, operation, fresh=fresh)

    def on_token_accepted(self, operation: str) -> None:
        """Remember that the server accepted a token for an operation: its next 401 causes a renewal again."""
        self._rules.on_accepted(operation)

    async def log_in(self) -> Token:
        """Log in now, even if there is a token: the server checks the credentials.

        A login that is already under way for the same credentials counts.
        """
        while True:
            if isinstance(self._state, Ended) and not self.provider.renewable:
                raise copy_for_caller(self._state.error)
            refresh = self._refresh
            if refresh is None:
                return (await self._run_as_leader(None, forced=True)).token
            await refresh.done.wait()
            if refresh.forced and refresh.error is not None:
                raise copy_for_caller(refresh.error)
            if refresh.forced and refresh.result is not None:
                return refresh.result.token

    async def log_out(self) -> None:
        """Log out at the server and forget the token; a session then stays ended until `log_in`.

        A token whose logout failed, because the server did not answer, is logged out by the next `log_out`; one whose
        logout was refused is not.
        """
        while self._refresh is not None:
            await self._refresh.done.wait()
        state = self._state
        if self.provider.requires_relogin:
            over = session_over("the session was logged out: call login() to open it again")
            self._state = Ended(error=over, rejected=self._rejected, device_token=self._device_token)
        elif isinstance(state, ActiveToken):
            self._state = NoToken()
        token = state.token if isinstance(state, ActiveToken) else await self._refresher.find_token()
        if token is not None and token not in self._to_log_out:
            self._to_log_out.append(token)
        failed: CareCloudError | None = None
        # The newest first: an older one on which the server fails again must not leave this one open.
        for each in reversed(self._to_log_out.copy()):
            try:
                await self._log_out_token(each)
            except CareCloudError as error:
                failed = failed or error
                if not is_refusal(error):
                    break
            if each in self._to_log_out:  # another `log_out` may have removed it meanwhile
                self._to_log_out.remove(each)
        if failed is not None:
            raise failed

    async def forget(self, token: Token) -> None:
        """Discard the stored records of a token that was logged out by other means."""
        await self._refresher.forget(token)

    async def _log_out_token(self, token: Token) -> None:
        try:
            await self._refresher.log_out(token)
        except CareCloudError as error:
            if not isinstance(error, AuthenticationError) or error.status != 401:
                raise
        else:
            if isinstance(self._state, Ended) and self._of_device:
                self._state = evolve(self._state, device_token=Token(token.value))

    @property
    def _rejected(self) -> str | None:
        return None if isinstance(self._state, ActiveToken) else self._state.rejected

    @property
    def _device_token(self) -> Token | None:
        return self._state.device_token if isinstance(self._state, Ended) else None

    def _active(self) -> ActiveToken | None:
        state = self._state
        return state if isinstance(state, ActiveToken) and self._clock.monotonic() < state.ends_at else None

    def _invalidate(self, value: str) -> None:
        """Remember that the server refused a token, unless it was replaced already."""
        state = self._state
        if isinstance(state, ActiveToken):
            if state.token.value == value:
                self._state = NoToken(value)
        elif state.rejected is None:
            self._state = evolve(state, rejected=value)

    def _must_renew(self, active: ActiveToken) -> bool:
        """Return whether this caller has to renew a token that is still valid, or wait for its renewal."""
        now = self._clock.monotonic()
        if now < active.renew_at or now < self._renewal_backoff.until:
            return False
        return self._refresh is None or now >= active.require_at

    async def _wait_for(self, refresh: Refresh, active: ActiveToken | None) -> None:
        if active is None:
            await refresh.wait()
            return
        with anyio.move_on_after(early_seconds()):
            await refresh.done.wait()

    async def _raise_remembered(self) -> None:
        if not isinstance(self._state, Ended):
            await self._login_backoff.check(self._read_credentials_fingerprint)
        if isinstance(self._state, Ended):  # perhaps it has changed since the check above
            raise copy_for_caller(self._state.error)

    async def _read_credentials_fingerprint(self) -> str | None:
        with anyio.move_on_after(FINGERPRINT_SECONDS):
            try:
                return await self.provider.credentials_fingerprint()
            except Exception as error:  # noqa: BLE001  (the user's code; the refusal stands)
                _log.warning(
                    "credentials_fingerprint() failed (%s); taking the credentials as unchanged", type(error).__name__
                )
        return None

    async def _run_as_leader(self, active: ActiveToken | None, *, forced: bool = False) -> ActiveToken:
        refresh = self._refresh = Refresh(forced=forced, retry=active is None, rejected=self._rejected)
        try:
            with sent_logins.collect() as refresh.logins:
                await self._run(refresh, active)
        finally:
            self._refresh = None
            refresh.end()
        if refresh.result is not None:
            return refresh.result
        if active is not None and self._clock.monotonic() < active.ends_at:
            return active
        assert refresh.error is not None  # noqa: S101  (there is no other outcome)
        raise refresh.error

    async def _run(self, refresh: Refresh, active: ActiveToken | None) -> None:
        with fetched_digests.collect() as digests:
            try:
                refresh.result = await self._renew_or_log_in(refresh, active)
            except Exception as error:  # noqa: BLE001  (a provider may raise anything; each waiter gets it)
                refresh.error = self._as_expired(error, refresh)
                await self._on_failure(refresh.error, digests, active)
            else:
                self._install(refresh, refresh.result)

    async def _renew_or_log_in(self, refresh: Refresh, active: ActiveToken | None) -> ActiveToken:
        seconds = self._retry_seconds if refresh.retry else early_seconds()
        with anyio.move_on_after(seconds):
            if refresh.forced:
                state = self._state
                current = state.token if isinstance(state, ActiveToken) else self._device_token
                return await self._refresher.log_in(rejected=refresh.rejected, current=current)
            obtained = await self._refresher.renew(
                rejected=refresh.rejected, current=active.token if active else None, retry=refresh.retry
            )
            if obtained.token.value == refresh.rejected and not self.provider.renewable:
                raise session_over()
            return obtained
        raise RequestTimeoutError(f"the login took longer than {seconds:.1f} seconds")

    def _install(self, refresh: Refresh, obtained: ActiveToken) -> None:
        if obtained.token.value == self._rejected and self._rejected != refresh.rejected:
            return  # the server refused it for another call while this refresh was under way
        self._state = obtained
        self._login_backoff.clear()
        self._renewal_backoff.clear()

    async def _on_failure(self, error: Exception, digests: list[str], active: ActiveToken | None) -> None:
        if isinstance(error, SessionExpiredError) and not self.provider.renewable:
            self._state = Ended(error=error.fresh(), rejected=self._rejected, device_token=self._device_token)
        elif isinstance(error, CareCloudError) and self._login_backoff.remembers(error):
            fingerprint = digests[-1] if digests else await self._read_credentials_fingerprint()
            self._login_backoff.on_failed(error, credentials_fingerprint=fingerprint)
        if active is not None:
            self._renewal_backoff.on_failed(
                now=self._clock.monotonic(), at_least_until=self._login_backoff.until, at_most_until=active.ends_at
            )
            _log.warning("token renewal failed (%s); going on with the old one", type(error).__name__)

    def _as_expired(self, error: Exception, refresh: Refresh) -> Exception:
        """Return a SessionExpiredError in place of the refusal of a customer whose session had ended."""
        session_ended = refresh.rejected is not None and not refresh.forced and self.provider.requires_relogin
        if not session_ended or not isinstance(error, ApiError) or not is_refusal(error):
            return error
        return error if isinstance(error, SessionExpiredError) else session_lost(error)
