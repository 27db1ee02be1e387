"""Calls under way: their deadlines, and their end when the client is closed."""

from __future__ import annotations

import anyio

from carecloud_async._base.runtime.event_loops import loop_time


class RunningCalls:
    """The calls under way, all in one event loop, so that the closing of the client can end them."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self._empty: anyio.Event | None = None

    def begin(self, *, seconds: float) -> anyio.CancelScope:
        """Return the cancel scope of a call that begins, to be entered at once.

        Args:
            seconds: its deadline, from now.
        """
        scope = anyio.CancelScope(deadline=loop_time() + seconds)
        self._scopes.add(scope)
        return scope

    def remove(self, scope: anyio.CancelScope) -> None:
        """Forget the scope of a call that has ended."""
        self._scopes.discard(scope)
        if self._empty is not None and not self._scopes:
            self._empty.set()

    async def end(self, *, seconds: float) -> None:
        """Cancel the scopes of all calls under way, and wait until the calls have ended.

        Args:
            seconds: the longest wait.
        """
        if not self._scopes:
            return
        self._empty = anyio.Event()
        for scope in list(self._scopes):
            scope.cancel()
        # Shielded: the caller may itself be inside a call that was just ended.
        with anyio.move_on_after(seconds, shield=True):
            await self._empty.wait()
