"""Refresh: a renewal of a token under way, as the caller that runs it and those that wait for it see it."""

from __future__ import annotations

import anyio

from carecloud_async._calls.auth.token import ActiveToken
from carecloud_async.errors import CareCloudError

#: The limits of a refresh while a token is still valid: in seconds, and as a part of the time that the caller has left.
EARLY_SECONDS = 5.0
EARLY_PART = 0.25


class Refresh:
    """A refresh under way. It holds the outcome for its waiters: a token, an error, or neither if it was cancelled.

    Args:
        forced: whether it logs in even if a token is stored.
        retry: whether failures are repeated.
        rejected: the token value that is known to be refused.

    Attributes:
        done: set when it has ended.
        logins: the logins that were sent for it, as observers know them.
    """

    def __init__(self, *, forced: bool, retry: bool, rejected: str | None) -> None:
        self.forced = forced
        self.retry = retry
        self.rejected = rejected
        self.done = anyio.Event()
        self.result: ActiveToken | None = None
        self.error: Exception | None = None
        self.logins: list[object] = []
        #: The waiters in the order of their arrival, each with the end of its time.
        self._waiters: dict[anyio.Event, float] = {}

    async def wait(self) -> None:
        """Wait for the end. Without an outcome, the waiter with the most time left returns first, and takes over.

        The first to arrive has the least time left. If it took over, it would soon be cancelled too, and so would
        the next: while calls keep coming, a login that takes longer than the time between two of them would never end.
        """
        turn = anyio.Event()
        self._waiters[turn] = anyio.current_effective_deadline()
        try:
            await turn.wait()
        except BaseException:
            self._waiters.pop(turn, None)
            if self.done.is_set():
                self._wake_successor()
            raise
        self._wake_all()

    def end(self) -> None:
        """Let the waiters return."""
        self.done.set()
        if self.result is None and self.error is None:
            self._wake_successor()
        else:
            self._wake_all()

    def _wake_successor(self) -> None:
        if self._waiters:
            max(reversed(self._waiters), key=self._waiters.__getitem__).set()

    def _wake_all(self) -> None:
        waiters, self._waiters = self._waiters, {}
        for turn in waiters:
            turn.set()


def copy_for_caller(error: Exception) -> Exception:
    """Return a copy for one waiter, so that callers' tracebacks do not accumulate on one exception."""
    if not isinstance(error, CareCloudError):
        return error
    copy = error.fresh()
    copy.__cause__ = error.__cause__
    return copy


def early_seconds() -> float:
    """Return how long the running task may renew a token that is still valid, or wait for that."""
    left = anyio.current_effective_deadline() - anyio.current_time()
    return min(EARLY_SECONDS, max(left, 0.0) * EARLY_PART)
