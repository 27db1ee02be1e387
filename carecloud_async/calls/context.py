"""What all views of one client share, and what each may have of its own."""

from __future__ import annotations

import inspect
from random import Random
from typing import Any

from attrs import define, field, frozen

from carecloud_async.calls.events import OnCall
from carecloud_async.calls.rate_limit import RateLimiter
from carecloud_async.calls.retry import RetryBudget, RetryPolicy, check_policy
from carecloud_async.errors import ClientClosedError, ConfigurationError
from carecloud_async.http.client import HttpClient, Timeout
from carecloud_async.project import Project, check_language
from carecloud_async.runtime.clock import Clock
from carecloud_async.runtime.event_loops import LoopGuard


def _plain_function(_: Any, attribute: Any, value: Any) -> None:
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise ConfigurationError(f"{attribute.name} must be a plain function that takes a CallRecord; nobody awaits it")


def _language(_: Any, __: Any, value: Any) -> None:
    check_language(value)


def _policy(_: Any, __: Any, value: Any) -> None:
    check_policy(value)


@define(eq=False, kw_only=True)
class ClientContext:
    """What all views of one client share.

    Attributes:
        project: where the calls go.
        http: the HTTP client.
        rate_limiter: the rate limit.
        budget: the repeats that may still be spent.
        clock, random: time and chance.
        guard: the event loop the client belongs to.
        on_call: the user's hook for metrics.
        urls: the URLs of operations, as they are shown.
        closed: whether the client was closed.
    """

    project: Project
    http: HttpClient
    rate_limiter: RateLimiter
    budget: RetryBudget
    clock: Clock
    random: Random
    guard: LoopGuard
    on_call: OnCall | None = field(validator=_plain_function)
    urls: dict[str, Any] = field(factory=dict)
    closed: bool = False

    def check(self) -> None:
        """Refuse to work when closed or in the wrong loop.

        Raises:
            ClientClosedError: this client was closed, or the `http_client` it was given.
            WrongEventLoopError: see `LoopGuard.check`.
        """
        if self.closed:
            raise ClientClosedError("the client was closed: make a new one")
        if self.http.client.is_closed:
            raise ClientClosedError("the http_client was closed: keep it open as long as the CareCloud on top of it")
        self.guard.check()

    async def aclose(self) -> None:
        """Close the pool.

        Raises:
            WrongEventLoopError: connections can only be closed in the loop they were opened in.
        """
        if self.closed:
            return
        if self.guard.bound:
            self.guard.check()
        self.closed = True
        await self.http.aclose()


@frozen(kw_only=True)
class Options:
    """What a view may have of its own.

    Attributes:
        language: the `Accept-Language`.
        timeout: how long calls may take.
        retry: how they are repeated.
    """

    language: str = field(validator=_language)
    timeout: Timeout
    retry: RetryPolicy = field(validator=_policy)
