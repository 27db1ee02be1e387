"""TokenDoubts: whether a refusal other than 401 may mean a dead token, and how often that may cost a login."""

from __future__ import annotations

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.auth.login_backoff import MAX_REPLAY_ENTRIES
from carecloud_async._calls.auth.token import ActiveToken

__all__ = ["TokenDoubts"]

#: A younger token is not doubted, in seconds: a refusal is then about the record or the right.
FRESH_SECONDS = 5.0
#: After a renewal that cured nothing: the same, doubling up to the second figure.
FIRST_AGE = 60.0
MAX_AGE = 3600.0


class TokenDoubts:
    """Remembers what one identity was allowed, so that only a refusal of what was allowed before casts doubt.

    Servers may answer a dead token with another status than 401. A right that was taken away looks the same: it costs
    one renewal, which cures nothing. Then the operation counts as never allowed, and later tokens are doubted only
    when they are older.

    Args:
        clock: the clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._allowed: set[str] = set()
        self._least_age = FRESH_SECONDS
        self._worked: str | None = None
        self._useless: str | None = None

    def may_be_dead(self, active: ActiveToken, operation: str) -> bool:
        """Return whether a refused token is to be renewed: it served the operation before, or comes from a store.

        Args:
            active: the token in use, which CareCloud refused.
            operation: the method and path template of the call.
        """
        if active.from_store and active.token.value not in {self._worked, self._useless}:
            return True  # another process obtained it, and it never worked in this one
        return operation in self._allowed and self._clock.monotonic() - active.since >= self._least_age

    def on_allowed(self, operation: str, token: str) -> None:
        """Remember that CareCloud carried an operation out."""
        self._worked = token
        if len(self._allowed) < MAX_REPLAY_ENTRIES:
            self._allowed.add(operation)

    def on_cured(self) -> None:
        """Remember that a renewal was right: the new token was not refused."""
        self._least_age = FRESH_SECONDS

    def on_useless(self, operation: str, token: str) -> None:
        """Remember that a renewal changed nothing; it counts once for calls that were refused with the same token.

        Args:
            operation: the operation that is still refused.
            token: the token that it was refused with.
        """
        self._allowed.discard(operation)
        if self._useless != token:
            self._useless = token
            self._least_age = min(max(self._least_age * 2, FIRST_AGE), MAX_AGE)
