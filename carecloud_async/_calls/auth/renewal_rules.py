"""Renewals after a 401: whether a call may take another token."""

from __future__ import annotations

from collections import OrderedDict

from attrs import field, frozen

from carecloud_async._base.runtime.clock import Clock
from carecloud_async._calls.auth.renewal import CONFLICT_SECONDS
from carecloud_async._calls.auth.token import Token

#: After a 401 that a new token did not cure: seconds until another 401 of the operation causes a renewal, doubling up
#: to `MAX_REPLAY_DELAY`.
FIRST_REPLAY_DELAY = 5.0
MAX_REPLAY_DELAY = 900.0
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
    ends the token of concurrent calls.

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
            first: the first delay in seconds.
        """
        last = self._pauses.get(key)
        if last is not None and last.token == token:
            return
        delay = first if last is None else min(last.delay * 2, MAX_REPLAY_DELAY)
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


class RenewalRules:
    """Whether another token may cure a 401 of one identity's calls.

    Args:
        of_device: whether the tokens are a device's. Then the operation does not matter: each new token would end the
            token of concurrent calls, and calls that need a customer refuse every device token.
    """

    __slots__ = ("_clock", "_of_device", "_replays")

    def __init__(self, clock: Clock, *, of_device: bool) -> None:
        self._clock = clock
        self._of_device = of_device
        self._replays = ReplayBackoff(clock)

    def may_renew(self, token: Token, operation: str) -> bool:
        """Return whether a login is worth a try: it is not while the delay after a refused fresh token lasts.

        Args:
            token: the refused token.
            operation: the method and path template of the call.
        """
        return self._clock.monotonic() >= self._replays.until(self._key(token, operation))

    def was_served(self, operation: str) -> bool:
        """Return whether the server ever accepted a token for an operation."""
        return self._replays.was_served(operation)

    def on_refused(self, token: Token, operation: str, *, fresh: bool) -> None:
        """Remember that the server refused the token of a replay; if that was fresh, a newer one would not help."""
        if fresh or self._of_device:
            first = CONFLICT_SECONDS if self._of_device else FIRST_REPLAY_DELAY
            self._replays.on_refused(self._key(token, operation), token.value, first=first)

    def on_accepted(self, operation: str) -> None:
        """Remember that the server accepted a token for an operation: its next 401 causes a renewal again."""
        self._replays.on_served(operation)

    def _key(self, token: Token, operation: str) -> str:
        return token.value if self._of_device else operation
