"""Renewals after a 401: whether and when a call may take another token, and how many logins that costs at most."""

from __future__ import annotations

from collections import OrderedDict

import anyio
from attrs import field, frozen

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.auth.renewal import CONFLICT_SECONDS
from carecloud_async._calls.auth.token import Token

#: After a 401 that a new token did not cure: seconds until another 401 of the operation causes a renewal, doubling up
#: to `MAX_REPLAY_DELAY`. The first figure is for an operation that was never served.
FIRST_REPLAY_DELAY = 5.0
#: That of an operation that was served before, from the second time on.
FIRST_SERVED_DELAY = 1.0
MAX_REPLAY_DELAY = 900.0
#: After two fresh tokens in a row that were refused, whatever the operation: seconds without a renewal, doubling up to
#: the second figure.
FIRST_USELESS_DELAY = 1.0
MAX_USELESS_DELAY = 8.0
#: After a renewed token was refused, all calls of one identity together renew this often at most, within these seconds.
MOST_FURTHER = 10
FURTHER_SECONDS = 60.0
#: The pause of a call before it takes one more token, after a fresh one was refused too, and the longest such pause
#: (seconds): the delays above allow two in a row.
AGAIN_SECONDS = 1.0
LONGEST_AGAIN_SECONDS = 1.5
#: The number of operations (or device tokens) whose refusals, and whose successes, one identity remembers.
MAX_REPLAY_ENTRIES = 256


@frozen
class _Pause:
    token: str = field(repr=False)
    delay: float
    until: float


class ReplayBackoff:
    """Remembers the operations that refused even a fresh token: for some time, their 401 causes no renewal.

    Otherwise a path that always answers 401 would cause a login with every call, and for a device a new token, which
    ends the token of concurrent calls. An operation that was served before has more likely met a second revocation:
    the first delays are short, and calls wait for their end.

    Keys are operations; for a device they are tokens, see `RenewalRules`.
    """

    __slots__ = ("_clock", "_pauses", "_served")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pauses: OrderedDict[str, _Pause] = OrderedDict()
        self._served: set[str] = set()

    def until(self, key: str) -> float:
        """Return until when a renewal for a key would not help, on the monotonic clock."""
        pause = self._pauses.get(key)
        return 0.0 if pause is None else pause.until

    def was_served(self, key: str) -> bool:
        """Return whether the server ever served a key."""
        return key in self._served

    def on_refused(self, key: str, token: str, *, first: float = FIRST_REPLAY_DELAY) -> None:
        """Remember that the server refused a fresh token too.

        Args:
            token: the token. If concurrent calls are refused with the same token, it counts once.
            first: the first delay in seconds, for a key that was never served.
        """
        last = self._pauses.get(key)
        if last is not None and last.token == token:
            return
        if last is None:
            delay = 0.0 if key in self._served else first
        else:
            delay = min(last.delay * 2 or FIRST_SERVED_DELAY, MAX_REPLAY_DELAY)
        self._pauses[key] = _Pause(token, delay, self._clock.monotonic() + delay)
        self._pauses.move_to_end(key)
        if len(self._pauses) > MAX_REPLAY_ENTRIES:
            self._pauses.popitem(last=False)

    def on_served(self, key: str) -> None:
        """Remember that the server served a key, and forget its refusals."""
        if self._pauses:
            self._pauses.pop(key, None)
        if len(self._served) < MAX_REPLAY_ENTRIES:
            self._served.add(key)


class UselessRenewals:
    """Delays renewals after fresh tokens in a row were refused, and nothing was served since.

    Servers behind a balancer may learn of a token some seconds late. Until they do, each operation would log in again:
    `ReplayBackoff` remembers operations, and the next one is another.
    """

    __slots__ = ("_clock", "_in_a_row", "_last", "until")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: str | None = None
        self._in_a_row = 0
        #: Until when a renewal would not help, on the monotonic clock.
        self.until: float = 0.0

    def on_refused(self, token: str) -> None:
        """Remember that the server refused a fresh token; it counts once."""
        if token == self._last:
            return
        self._last = token
        if self._in_a_row:
            delay = min(FIRST_USELESS_DELAY * 2 ** (self._in_a_row - 1), MAX_USELESS_DELAY)
            self.until = self._clock.monotonic() + delay
        self._in_a_row += 1

    def on_served(self) -> None:
        """Remember that the server served an operation: a renewal may help again."""
        self._in_a_row, self.until = 0, 0.0


class FurtherRenewals:
    """Limits the renewals of calls whose renewed token was refused too, over all calls of one identity.

    `ReplayBackoff` begins again whenever the operation is served. A single record whose path is always answered with
    401 would cost several logins for each call, while other records are served.
    """

    __slots__ = ("_allowed", "_clock")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._allowed: dict[str, float] = {}  # refused tokens, and when a renewal was allowed

    def allow(self, token: str) -> bool:
        """Return whether a refused token may be renewed once more; calls that were refused with it count once."""
        now = self._clock.monotonic()
        self._allowed = {value: at for value, at in self._allowed.items() if now - at < FURTHER_SECONDS}
        if token not in self._allowed and len(self._allowed) >= MOST_FURTHER:
            return False
        self._allowed.setdefault(token, now)
        return True


class RenewalRules:
    """Whether another token may cure a 401 of one identity's calls.

    Args:
        of_device: whether the tokens are a device's. Then the operation does not matter: each new token would end the
            token of concurrent calls, and calls that need a customer refuse every device token.
    """

    __slots__ = ("_clock", "_further", "_of_device", "_replays", "_useless")

    def __init__(self, clock: Clock, *, of_device: bool) -> None:
        self._clock = clock
        self._of_device = of_device
        self._replays = ReplayBackoff(clock)
        self._useless = UselessRenewals(clock)
        self._further: FurtherRenewals | None = None  # made when needed: a client may have thousands of identities

    async def may_renew(self, token: Token, operation: str, *, again: bool) -> bool:
        """Return whether a login is worth a try, after a short pause if need be.

        It is not while the delays after refused fresh tokens last longer.

        Args:
            token: the refused token.
            operation: the method and path template of the call.
            again: whether the call has taken another token already. Then CareCloud must have served the operation
                before, which shows that the credentials are right, and that the tokens were revoked in a row.
        """
        key = self._key(token, operation)
        until = max(self._useless.until, self._replays.until(key))
        pause = max(until - self._clock.monotonic(), AGAIN_SECONDS if again else 0.0)
        if pause <= 0:
            return True
        was_served = not self._of_device and self._replays.was_served(key)
        time_left = anyio.current_effective_deadline() - anyio.current_time()
        if not was_served or pause > min(LONGEST_AGAIN_SECONDS, time_left):
            return False
        if again:
            self._further = self._further or FurtherRenewals(self._clock)
            if not self._further.allow(token.value):
                return False
        await self._clock.sleep(pause)
        return True

    def on_refused(self, token: Token, operation: str, *, fresh: bool) -> None:
        """Remember that the server refused the token of a replay; if that was fresh, a newer one would not help."""
        if fresh or self._of_device:
            first = CONFLICT_SECONDS if self._of_device else FIRST_REPLAY_DELAY
            self._replays.on_refused(self._key(token, operation), token.value, first=first)
        if fresh and not self._of_device:
            self._useless.on_refused(token.value)

    def on_accepted(self, operation: str) -> None:
        """Remember that the server accepted a token for an operation: its next 401 causes a renewal again."""
        if not self._of_device:
            self._replays.on_served(operation)
            self._useless.on_served()

    def _key(self, token: Token, operation: str) -> str:
        return token.value if self._of_device else operation
