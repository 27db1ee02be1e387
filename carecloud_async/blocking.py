"""`blocking`: a client for code that is not async, in an event loop of its own thread."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import TypeVar, cast

import anyio
from anyio.from_thread import BlockingPortal

from carecloud_async.client import CareCloud
from carecloud_async.errors import ClientClosedError, WrongEventLoopError

__all__ = ["BlockingClient", "blocking"]

T = TypeVar("T")
R = TypeVar("R")


class BlockingClient:
    """Runs calls of one client in its event loop, and waits for their results. Any thread may use it.

    Made by `blocking`. Errors are raised as the client raises them. Ctrl-C cancels the call and is raised when the call
    has ended.
    """

    def __init__(self, portal: BlockingPortal, client: CareCloud, ended: Future[None]) -> None:
        self._portal = portal
        self._ended = ended
        self._client = client
        self._thread = threading.get_ident()
        self._pid = os.getpid()

    def __call__(self, function: Callable[[CareCloud], Awaitable[T]], /) -> T:
        """Call `function` with the client, await what it returns, and return the result.

        Args:
            function: takes the client and returns an awaitable: `lambda client: client.customers.get(customer_id)`, or
                an `async def` function for what takes several steps.

        Raises:
            TypeError: what the function returned cannot be awaited.
            WrongEventLoopError: this is a call within another call, or a process forked after `blocking`.
            ClientClosedError: the `with` block has ended.
            CareCloudError: the error of the call.
        """
        self._check()
        scopes: list[anyio.CancelScope] = []  # of the call, once it has begun
        ended = threading.Event()

        async def run() -> T | None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                try:
                    awaitable = function(self._client)
                    if not isinstance(awaitable, Awaitable):
                        raise TypeError(_not_awaitable(awaitable))
                    return await awaitable
                finally:
                    ended.set()
            return None  # cancelled: nobody waits for the result

        async def cancel() -> None:
            for scope in scopes:
                scope.cancel()

        try:
            future = self._started(run)
            return cast("T", future.result())
        except (KeyboardInterrupt, SystemExit):  # of this thread, and perhaps before there was a future
            with suppress(RuntimeError):  # the event loop has ended with the call
                self._portal.call(cancel)
                if scopes:
                    ended.wait()
            raise

    def _started(self, run: Callable[[], Awaitable[R]]) -> Future[R]:
        try:
            return self._portal.start_task_soon(run)
        except RuntimeError:
            raise ClientClosedError("the `with blocking(…)` block has ended: call within it") from None

    @contextmanager
    def enter(self, function: Callable[[CareCloud], AbstractAsyncContextManager[T]], /) -> Iterator[T]:
        """Enter an async context manager of the client for the time of a `with` block.

        Args:
            function: takes the client and returns the context manager: `lambda client: client.outbox("till.db")`.

        Yields:
            what `async with` would give. Call its methods as the client's: `crm(lambda client: outbox.flush())`.

        Raises:
            WrongEventLoopError: as in a call.
            ClientClosedError: as in a call.
            CareCloudError: the error of the context manager.
        """
        self._check()

        @asynccontextmanager
        async def opened() -> AsyncIterator[T]:
            async with function(self._client) as value:
                yield value

        entered = self._portal.wrap_async_context_manager(opened())
        value = entered.__enter__()
        try:
            yield value
        except BaseException as error:
            if self._forked or not entered.__exit__(type(error), error, error.__traceback__):
                raise
        else:
            if not self._forked:
                entered.__exit__(None, None, None)

    @property
    def _forked(self) -> bool:
        """Whether this is a forked child: the event loop's thread is in the parent alone, and nothing can be closed."""
        return os.getpid() != self._pid

    def _check(self) -> None:
        if self._forked:
            raise WrongEventLoopError(
                "this client was opened before a fork: enter `blocking(…)` in each process, after forking"
            )
        if threading.get_ident() == self._thread:
            raise WrongEventLoopError("this is a call within a call: await the client's methods there instead")

    def _stop(self, *, cancel: bool) -> None:
        if self._forked:
            return
        with suppress(RuntimeError):  # a call that raised SystemExit has ended the event loop
            self._portal.call(self._portal.stop, cancel)
        error = self._ended.exception()
        if isinstance(error, Exception):  # from closing the client; what a call raises is raised by the call
            raise error


@contextmanager
def blocking(make_client: Callable[[], CareCloud], /) -> Iterator[BlockingClient]:
    """Open a client in an event loop of its own thread, for code that is not async.

    Args:
        make_client: makes the client: `CareCloud.from_env`, or a function without arguments.

    Yields:
        what runs the client's calls. At the end of the block the client is closed; calls of other threads are awaited
        first, and are cancelled if the block ends with an error.

    Raises:
        TypeError: `make_client` is no function.
        ConfigurationError: a setting of the client cannot work.
    """
    if isinstance(make_client, CareCloud) or not callable(make_client):
        raise TypeError("pass a function that makes the client: blocking(CareCloud.from_env)")
    started: Future[BlockingClient] = Future()
    ended: Future[None] = Future()

    async def serve() -> None:
        async with make_client() as client, BlockingPortal() as portal:
            started.set_result(BlockingClient(portal, client, ended))
            await portal.sleep_until_stopped()

    def run() -> None:
        try:
            anyio.run(serve)
        except BaseException as error:  # noqa: BLE001  (raised in the thread that waits)
            (ended if started.done() else started).set_exception(error)
        else:
            ended.set_result(None)

    threading.Thread(target=run, name="carecloud-async", daemon=True).start()
    crm = started.result()
    try:
        yield crm
    except BaseException:
        crm._stop(cancel=True)
        raise
    crm._stop(cancel=False)


def _not_awaitable(value: object) -> str:
    if isinstance(value, AbstractAsyncContextManager):
        return f"{type(value).__name__} is a context manager: enter it with crm.enter(…)"
    return f"the function returned {type(value).__name__}, which cannot be awaited: return a call of the client"
