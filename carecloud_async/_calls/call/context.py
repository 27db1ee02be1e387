"""State that all views of one client share, and the options that a view may have of its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from random import Random
from typing import Any

import anyio
from attrs import field, fields, frozen

from carecloud_async._base.project import Project, check_language
from carecloud_async._base.runtime.clock import Clock
from carecloud_async._base.runtime.event_loops import LoopGuard
from carecloud_async._base.runtime.task_groups import CooperativeScheduler, KeyedLock
from carecloud_async._base.runtime.validators import require_bool
from carecloud_async._calls.auth.provider import AuthProvider
from carecloud_async._calls.call.cache import AnswerStore
from carecloud_async._calls.call.events import CallObserver
from carecloud_async._calls.call.retry import RetryBudget, RetryPolicy, check_policy
from carecloud_async._calls.http.client import HttpClient
from carecloud_async._calls.http.timeout import OutOfTimeError, RunningCalls, Timeout, Waiting, to_timeout
from carecloud_async._calls.rate_limits.rate_limit import RateLimiter
from carecloud_async.errors import ClientClosedError, RequestTimeoutError

_log = logging.getLogger("carecloud_async.client")

#: How long closing waits for the calls under way, which are cancelled at once, and for the transport (seconds).
CLOSING_SECONDS = 2.0


class ClientContext:
    """State that all views of one client share.

    Args:
        project: where the calls go.
        budget: the retries that may still be made.
        clock, random: the clock and the source of randomness.
        guard: the event loop that the client belongs to.
        observers: receivers of the events of each call; see `calls.events`.
        answers: the cached answers, if the client has a cache.
        twin: opens a second client with the same settings and identity for another event loop; `None` if none can be.

    Attributes:
        running: the calls under way.
        computing: runs the decoding of large answers in slices.
        writes: locks of keys that are being written, so that workflows write one at a time.
        answered: whether CareCloud has answered any call; until then the address may be wrong.
        closed: whether the client was closed.
    """

    def __init__(
        self,
        *,
        project: Project,
        http: HttpClient,
        rate_limiter: RateLimiter,
        budget: RetryBudget,
        clock: Clock,
        random: Random,
        guard: LoopGuard,
        observers: tuple[CallObserver, ...] = (),
        answers: AnswerStore | None = None,
        twin: Callable[[AuthProvider, ViewOptions], AbstractAsyncContextManager[Any]] | None = None,
    ) -> None:
        self.project = project
        self.http = http
        self.rate_limiter = rate_limiter
        self.budget = budget
        self.clock = clock
        self.random = random
        self.guard = guard
        self.observers = observers
        self.answers = answers
        self.twin = twin
        self.running: RunningCalls = http.running
        self.computing: CooperativeScheduler = CooperativeScheduler()
        self.writes: KeyedLock = KeyedLock()
        self.answered: bool = False
        self.closed: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the client was closed, or the HTTP client underneath."""
        return self.closed or bool(self.http.client.is_closed)

    def check(self) -> None:
        """Raise if the client is closed or used in the wrong event loop.

        Raises:
            ClientClosedError: this client was closed, or the `http_client` it was given.
            WrongEventLoopError: see `LoopGuard.check`.
        """
        if self.is_over:
            raise self.closed_error()
        self.guard.check()

    def closed_error(self, *, under_way: str = "") -> ClientClosedError:
        """Return the error of a call on a closed client.

        Args:
            under_way: the end of the sentence, for a call that had begun.
        """
        if self.is_over and not self.closed:
            problem, fix = "the http_client was closed", "keep it open as long as the CareCloud on top of it"
        else:
            problem, fix = "the client was closed", "make a new one"
        return ClientClosedError(f"{problem} {under_way}" if under_way else f"{problem}: {fix}")

    @contextmanager
    def bounded(self, timeout: Timeout, *, title: str) -> Iterator[None]:
        """Bound a block that makes calls of its own (a login, a logout), and end it when the client is closed.

        The block may take `total`, and as long at the rate limiter as `limiter` says. Each call in it has these bounds
        for itself.

        Args:
            timeout: the view's timeouts.
            title: the name of the block, for errors.

        Raises:
            RequestTimeoutError: it took longer.
            ClientClosedError: the client was closed meanwhile.
        """
        try:
            with Waiting(self.running, timeout.total + timeout.limiter_seconds):
                yield
        except OutOfTimeError:
            if self.is_over:
                raise self.closed_error(under_way=f"during {title}") from None
            seconds = f"{timeout.total:g} + {timeout.limiter_seconds:g} seconds"
            problem = f"{title} took longer than {seconds} (Timeout: total + limiter)"
            raise RequestTimeoutError(problem) from None

    async def aclose(self) -> None:
        """End the calls under way with `ClientClosedError`, and close the pool; no step takes longer than two seconds.

        Raises:
            WrongEventLoopError: connections can only be closed in the loop they were opened in.
        """
        if self.closed:
            return
        if self.guard.bound:
            self.guard.check()
        self.closed = True
        try:
            await self.running.cancel(seconds=CLOSING_SECONDS)
        finally:
            try:
                await _close(self.http.aclose, title="transport")
            finally:
                await self.running.wait(seconds=CLOSING_SECONDS)
                await _close(self.rate_limiter.aclose, title="rate limit")


async def _close(close: Callable[[], Awaitable[None]], *, title: str) -> None:
    """Close something that may be the user's own, and cancel that if it takes too long."""
    with anyio.move_on_after(CLOSING_SECONDS) as scope:
        await close()
    if scope.cancelled_caught:
        _log.warning(
            "the %s was not closed within %g seconds, and is left: look for what its aclose() waits for",
            title,
            CLOSING_SECONDS,
        )


@frozen(kw_only=True, repr=False, eq=False)
class CallOptions:
    """Settings of a client that a view may have otherwise.

    Attributes:
        language: the `Accept-Language`.
        timeout: the bounds on the time of a call.
        retry: how failed calls are repeated.
        read_only: whether calls that may change something are refused.
    """

    language: str = field(default="cs, en-gb;q=0.8", validator=lambda _, __, value: check_language(value))
    timeout: Timeout = field(default=Timeout(), converter=to_timeout)
    retry: RetryPolicy = field(default=RetryPolicy(), validator=lambda _, __, value: check_policy(value))
    read_only: bool = field(default=False, validator=lambda _, __, value: require_bool("read_only", value))

    def call_options(self) -> dict[str, Any]:
        """Return these settings alone, by name."""
        return {attribute.name: getattr(self, attribute.name) for attribute in fields(CallOptions)}


@frozen(kw_only=True)
class ViewOptions(CallOptions):
    """Options of a view.

    Attributes:
        reuses: whether a cached answer will do, of the client's cache or of one in front of the API.
    """

    reuses: bool = True
