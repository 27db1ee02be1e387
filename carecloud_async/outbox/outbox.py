"""`Outbox`: writes that wait for the network, and are sent once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from carecloud_async._base.runtime.clock import boot_id
from carecloud_async._base.runtime.secret_text import conceal_body
from carecloud_async._base.runtime.task_groups import DetachedTasks
from carecloud_async._base.runtime.threads import ThreadLimit, run_in_thread, run_in_thread_regardless
from carecloud_async._calls.call.caller import Caller
from carecloud_async.bulk.claims import Claims
from carecloud_async.bulk.family import scope_of, settle_times
from carecloud_async.bulk.machine import check_settle
from carecloud_async.errors import ConfigurationError
from carecloud_async.fixes import OUTBOX_KEY_IN_USE
from carecloud_async.outbox.entries import Entries
from carecloud_async.outbox.errors import KeyInUseError, OutboxError, OutboxInUseError
from carecloud_async.outbox.family import Grace
from carecloud_async.outbox.queue import FailedEntry, OutboxQueue
from carecloud_async.outbox.sending import Dispatcher

__all__ = ["Outbox"]

#: Threads that put entries: they must not wait for those that send.
_PUTTING = ThreadLimit("outbox", 40)
#: Requests under way at once: with more, `put` would wait for its turn in the event loop.
_MAX_REQUESTS = 8
#: For how long closing waits for the answers of requests under way (seconds). gunicorn and Kubernetes kill after 30.
CLOSING_SECONDS = 5.0
#: Seconds between two attempts to open a file that another process has open, and between two looks at an entry.
_INTERVAL = 0.25


class Outbox:
    """A queue of writes in a file, sent in the background: `async with client.outbox("till.db") as outbox`.

    What was put is durable when `put` returns. It is sent once, in the order of its customer, also after a lost answer,
    a kill, a power cut, and by the next process that opens the file. One process has the file open at a time. Leaving
    the block waits some seconds for the requests that are on their way, and not for entries that wait.

    Each method raises `ClientClosedError` when its client was closed, and `WrongEventLoopError` in another event loop
    or process than that in which the outbox was opened.

    Args:
        caller: makes the calls.
        path: the file; made if it is not there.
        wait, settle: see `client.outbox`.

    Raises:
        OutboxInUseError: when it is entered: another process has the file open.
        OutboxError: when it is entered: the file is damaged, no outbox, or belongs to another project or identity; or
            the disk refuses.
        BulkWriteError: when it is entered: the claims of this user's programs cannot be used.
    """

    def __init__(
        self, caller: Caller, path: str | os.PathLike[str], *, wait: float = 0.0, settle: float | None = None
    ) -> None:
        check_settle(settle)
        self._caller = caller
        self._wait = wait
        self._times = settle_times(caller, settle)
        self._clock = caller.context.clock
        self._path = Path(path)
        self._concurrency = min(caller.context.http.max_connections, _MAX_REQUESTS)
        self._grace = Grace()
        # A failure is known at once, and the outbox tries again by itself.
        self._entries = Entries(caller.fail_fast, concurrency=self._concurrency)
        self._queue: OutboxQueue | None = None
        self._claims: Claims | None = None
        self._dispatcher: Dispatcher | None = None
        self._tasks: DetachedTasks | None = None
        self._last_counts = (0, 0)

    async def __aenter__(self) -> Self:
        self._caller.context.check()
        self._caller.refuse_if_read_only("an outbox")
        if self._tasks is not None:
            raise OutboxError("this outbox is open already")
        try:
            await self._open_in_turn()
            assert self._queue is not None  # noqa: S101  (opened)
            assert self._claims is not None  # noqa: S101  (opened)
            self._dispatcher = Dispatcher(
                self._queue,
                self._entries,
                self._claims,
                # A lost request of an earlier program, with another timeout, may act for longer.
                times=settle_times(self._caller, self._queue.settle_seconds),
                clock=self._clock,
                concurrency=self._concurrency,
                grace=self._grace,
            )
            self._tasks = DetachedTasks(self._dispatcher.run)
        except BaseException:
            await run_in_thread_regardless(self._close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        try:
            if tasks is not None:
                await tasks.close(seconds=CLOSING_SECONDS, then=self._grace.end)
        finally:
            await run_in_thread_regardless(self._close)

    async def put(self, method: Any, /, *args: Any, reference: str | None = None, **kwargs: Any) -> int:
        """Store a call durably, to be sent as soon as the server can be reached.

        The call is checked first. The same call put again is stored once, also within a day after it was sent: its key
        names it.

        Args:
            method: a method of the client, such as `client.purchases.send_purchase`.
            *args: its arguments. The record (the bill) may come first, although the method wants its name.
            reference: the key of points and credits, which have none of their own; it is written into the note.
            **kwargs: its arguments by name.

        Returns:
            the number of the entry, which no other one has that is in the file now.

        Raises:
            NotForOutboxError: an outbox cannot send it exactly once, or an argument is wrong; the message says why.
            KeyInUseError: another call with this key, and with other content, is in the outbox, or was sent within the
                last day.
            InterfaceError: the identity may not make the call.
            TypeError: the arguments do not fit the method.
            OutboxError: the outbox is not open, its file was moved or removed, or the disk refuses; nothing was stored.
        """
        args, kwargs = conceal_body(args), conceal_body(kwargs)  # they must not be in a frame if they are refused
        queue, dispatcher = self._opened()
        entry = self._entries.make(method, args, kwargs, reference)
        number, other = await run_in_thread(partial(queue.put, entry), limit=_PUTTING)
        if other:
            call = entry.label.partition(" ")[0]
            problem = f"{call}: another call with this key {other}, as entry {number}"
            raise KeyInUseError(problem, fix=OUTBOX_KEY_IN_USE)
        dispatcher.wake()
        return number

    async def flush(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits, for some time at most, and try at once what waits for the server.

        Args:
            timeout: the longest wait (seconds); without one, until everything was sent or refused.

        Returns:
            whether everything went out: nothing waits, and nothing failed.

        Raises:
            OutboxError: the outbox is not open.
        """
        queue, dispatcher = self._opened()
        dispatcher.wake(now=True)
        end = None if timeout is None else self._clock.monotonic() + timeout
        while queue.waiting:
            left = None if end is None else end - self._clock.monotonic()
            if left is not None and left <= 0:
                break
            await dispatcher.changed(left)
        return not queue.waiting and not queue.failed

    async def outcome(self, number: int, *, timeout: float = 0.0) -> Literal["sent", "waiting", "failed"]:
        """Return what became of an entry, and wait for it for some time at most.

        Args:
            number: its number, as `put` returned it within the last day.
            timeout: the longest wait (seconds) for an entry that waits.

        Returns:
            `sent`, also of an entry that was dropped; `failed`, and `failures` has the reasons; or `waiting`, and
            `problem` may have the reason.

        Raises:
            ConfigurationError: no entry has had this number.
            OutboxError: the outbox is not open.
        """
        queue, dispatcher = self._opened()
        end = self._clock.monotonic() + timeout
        if not queue.had(number):
            raise ConfigurationError(f"no entry of this outbox has the number {number}")
        while True:
            outcome = await run_in_thread(partial(queue.outcome, number))
            left = end - self._clock.monotonic()
            if outcome != "waiting" or left <= 0:
                return outcome
            # The entry may have ended between the look and the wait.
            await dispatcher.changed(min(left, _INTERVAL))

    @property
    def waiting(self) -> int:
        """How many entries were put and have no outcome; what is on its way counts."""
        return self._counts[0]

    @property
    def failed(self) -> int:
        """How many entries failed; they stay until they are retried or dropped."""
        return self._counts[1]

    @property
    def problem(self) -> Exception | None:
        """Why entries wait now, such as a network that is away or a right that is missing; `None` otherwise."""
        return None if self._dispatcher is None else self._dispatcher.problem

    async def failures(self) -> list[FailedEntry]:
        """Return the first thousand entries that failed, with the reasons.

        Raises:
            OutboxError: the outbox is not open, or the disk refuses.
        """
        return await run_in_thread(self._opened()[0].failures)

    async def retry(self, numbers: Collection[int] | None = None) -> int:
        """Let entries that failed wait again, and return how many.

        An entry waits for the one of its customer that is being sent.

        Args:
            numbers: their numbers; all of them if left out.

        Raises:
            OutboxError: the outbox is not open, its file was moved or removed, or the disk refuses; nothing is changed.
        """
        queue, dispatcher = self._opened()
        retried = await run_in_thread(partial(queue.retry, numbers))
        dispatcher.wake()
        return retried

    async def drop(self, numbers: Collection[int] | None = None) -> int:
        """Remove entries that failed for good, and return how many.

        Args:
            numbers: their numbers; all of them if left out.

        Raises:
            OutboxError: the outbox is not open, its file was moved or removed, or the disk refuses; nothing is changed.
        """
        return await run_in_thread(partial(self._opened()[0].drop, numbers))

    def __repr__(self) -> str:
        return f"<Outbox {self._path.name}: {self.waiting} waiting, {self.failed} failed>"

    @property
    def _counts(self) -> tuple[int, int]:
        queue = self._queue
        return self._last_counts if queue is None else (queue.waiting, queue.failed)

    def _opened(self) -> tuple[OutboxQueue, Dispatcher]:
        if self._tasks is None or self._queue is None or self._dispatcher is None:
            raise OutboxError("the outbox is not open: use it inside its `async with` block")
        self._caller.context.check()  # a forked process must not write to the file of its parent
        return self._queue, self._dispatcher

    async def _open_in_turn(self) -> None:
        """Open, and wait for some seconds while another process has the file open."""
        until = self._clock.monotonic() + self._wait
        while True:
            try:
                return await run_in_thread(self._open)
            except OutboxInUseError:
                if self._clock.monotonic() >= until:
                    raise
            await self._clock.sleep(_INTERVAL)

    def _open(self) -> None:
        """Open the file and the claims, and take up what an earlier process left. Blocks."""
        scope = scope_of(self._caller)
        binding = {name: hashlib.sha256(value.encode()).hexdigest()[:32] for name, value in scope.items()}
        self._queue = queue = OutboxQueue.open(self._path, binding=binding, clock=self._clock)
        settle, boot = self._times.settle, boot_id()
        claims = Claims(project=scope["project"], clock=self._clock, settle_seconds=settle)
        self._claims = claims.__enter__()
        earlier = queue.begin(owner=claims.owner, settle_seconds=settle, boot=boot)
        for owner in earlier:
            claims.adopt(owner)
        queue.forget_earlier_owners(claims.owner)
        claims.keep_only([claim for lost in queue.lost_keys() if (claim := self._entries.claim(*lost)) is not None])

    def _close(self) -> None:
        """Close what was opened. Blocks."""
        self._last_counts = self._counts
        claims, self._claims = self._claims, None
        queue, self._queue = self._queue, None
        self._dispatcher = None
        try:
            if claims is not None:
                claims.__exit__()
        finally:
            if queue is not None:
                queue.close()
