"""Calls under way: their deadlines, which share a timer on asyncio, and their end when the client is closed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anyio

from carecloud_async.runtime.event_loops import on_asyncio


class RunningCalls:
    """The calls under way, all in one event loop, so that time or the closing of the client can end them.

    A timer for each call, set and cancelled, is a tenth of what the SDK spends on a small one. Calls that begin later
    mostly end later too: one timer for the nearest deadline serves them all.
    """

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self._empty: anyio.Event | None = None
        self._scope_class: type[anyio.CancelScope] | None = None
        self._now: Callable[[], float] = anyio.current_time
        self._deadlines: _Deadlines | None = None

    def begin(self, *, seconds: float) -> anyio.CancelScope:
        """Return the cancel scope of a call that begins, to be entered at once.

        Args:
            seconds: its deadline, from now.
        """
        make = self._scope_class
        if make is None:
            make = self._bind()
        scope = make(deadline=self._now() + seconds)
        self._scopes.add(scope)
        return scope

    def _bind(self) -> type[anyio.CancelScope]:
        """Keep what anyio would look up for every call: the scopes and the clock of the loop that runs here."""
        scope_class = type(anyio.CancelScope())
        if on_asyncio():
            self._deadlines = _Deadlines(self._scopes, scope_class)
            self._now = self._deadlines.now
            scope_class = self._deadlines.scope_class
        self._scope_class = scope_class
        return scope_class

    def add(self, scope: anyio.CancelScope) -> None:
        """Note the cancel scope of a call that begins."""
        self._scopes.add(scope)

    def remove(self, scope: anyio.CancelScope) -> None:
        """Note that a call has ended."""
        self._scopes.discard(scope)
        if self._empty is not None and not self._scopes:
            self._empty.set()

    async def end(self, *, seconds: float) -> None:
        """Cancel the scopes of all calls under way, and wait until the calls have ended.

        Args:
            seconds: the longest wait.
        """
        if self._deadlines is not None:
            self._deadlines.close()
        if not self._scopes:
            return
        self._empty = anyio.Event()
        for scope in list(self._scopes):
            scope.cancel()
        # Shielded: the caller may itself be inside a call that was just ended.
        with anyio.move_on_after(seconds, shield=True):
            await self._empty.wait()


class _Deadlines:
    """One timer of an asyncio loop for the deadlines of many scopes.

    Args:
        scopes: the scopes that have been entered, and others.
        base: anyio's class of scopes on asyncio.

    Attributes:
        now: the loop's clock.
        scope_class: the class of the scopes that share the timer.
    """

    def __init__(self, scopes: set[anyio.CancelScope], base: Any) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._scopes = scopes
        self._base = base
        self._nearest = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self.now = self._loop.time
        self.scope_class = self._make_scope_class()

    def _make_scope_class(self) -> Any:
        deadlines = self

        class SharedTimerScope(self._base):  # type: ignore[name-defined,misc]
            """anyio's scope, but for the timer, which it would set here."""

            __slots__ = ()

            def _timeout(self) -> None:
                if self._deadline < deadlines._nearest:
                    deadlines._set(self._deadline)

        return SharedTimerScope

    def _set(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._nearest = deadline
        self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        """End what is due, and wait for the nearest of the rest."""
        self._timer, self._nearest = None, math.inf
        now, nearest = self.now(), math.inf
        for scope in list(self._scopes):
            if not isinstance(scope, self.scope_class):
                continue
            if scope.deadline <= now:
                self._base._timeout(scope)
            else:
                nearest = min(nearest, scope.deadline)
        if nearest < math.inf:
            self._set(nearest)

    def close(self) -> None:
        """Take the timer out of the loop; a call that begins now sets it again."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._nearest = None, math.inf
