"""One HTTP/1.1 connection on asyncio: it writes a request, and httptools parses the response while it arrives.

Every failure is the exception of httpx that says whether the request may have been sent.
"""

from __future__ import annotations

import asyncio
import math
import select
from collections.abc import Callable
from typing import Any

import httptools
import httpx

from carecloud_async._calls.http.responses import BodyTooLargeError
from carecloud_async._calls.http.timeout import OutOfTimeError

#: Scheme, host and port.
Origin = tuple[str, str, int]

#: Seconds after which a connection at rest is not used again: its server may be about to close it.
MOST_REST = 15.0
#: The most bytes of a head, and between two parts of a body. Proxies and policies write long headers.
_MOST_OVERHEAD = 64 * 1024
_SWITCHING, _NO_CONTENT, _NOT_MODIFIED = 101, 204, 304


class Reply:
    """A response, as far as it has arrived.

    Attributes:
        status: its status; 0 until its head is complete.
        reason: the text behind the status.
        headers: its headers, as they came.
        body: the body in pieces, as it came.
        is_over: whether nothing more belongs to it: it is complete, or has failed.
    """

    __slots__ = ("body", "headers", "is_over", "overhead", "reason", "size", "status")

    def __init__(self) -> None:
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.is_over = False
        self.size = 0  # of the body
        self.overhead = 0  # bytes since the last part of the body

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, or `None`.

        Args:
            name: its name in lower case.
        """
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None


class Connection(asyncio.Protocol):
    """One connection, which has one request at a time.

    Args:
        loop: the running loop.
        origin: where its requests go.
        max_response_bytes: the largest body, as it comes over the wire.
        on_lost: called with the connection when its socket is closed.

    Attributes:
        is_usable: whether another request may be sent: the last response was complete and allowed it, and no byte
            followed it.
        lost: is done when the socket is closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        *,
        max_response_bytes: int,
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.origin: Origin = origin
        self.is_usable: bool = True
        self.transport: Any = None
        self.lost: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._limit = max_response_bytes
        self._on_lost = on_lost
        self._parser: Any = httptools.HttpResponseParser(self)
        # As tolerant as aiohttp and h11: none of these changes where a response ends.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._reply: Reply | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._without_body = False
        self._resting_since = loop.time()
        # One timer serves all requests of a connection: it is set anew when it fires, and not with each request.
        self._timer: asyncio.TimerHandle | None = None
        self._silence = math.inf  # the longest time without a byte
        self._deadline = math.inf
        self._until = math.inf  # when the response is to be complete
        self._unwritten = 0
        self._poll: Any = None

    @property
    def is_ready(self) -> bool:
        """Whether a request may be written now: it is usable, has not rested for long, and nothing waits to be read.

        What waits at rest is no response to the next request, or the end of the connection, which the loop has not seen
        yet if it was busy.
        """
        is_open = self.is_usable and not self.transport.is_closing()
        is_fresh = self._loop.time() - self._resting_since < MOST_REST
        return is_open and is_fresh and not self._has_input()

    def rest(self) -> None:
        """Begin to rest: after a while without a request, the connection closes itself."""
        self._resting_since = self._loop.time()
        if self._timer is None:
            self._call_at(self._resting_since + MOST_REST)

    async def exchange(
        self, request: bytes, *, without_body: bool = False, read: float | None, until: float = math.inf
    ) -> Reply:
        """Write a request, and return its response, read to the end. Where none comes, the connection is closed.

        Args:
            request: its bytes.
            without_body: whether the response has no body, whatever its head says (HEAD, CONNECT).
            read: the longest time without a byte of the response, in seconds; `None` for no limit.
            until: when the response is to be complete, by the clock of the loop.

        Raises:
            OutOfTimeError: the response was not complete in time.
            httpx.ConnectError: the connection was closed, and nothing was written.
            httpx.TransportError: no complete response came.
            BodyTooLargeError: it is larger than the limit.
        """
        if not self.is_usable or self.transport.is_closing():
            self.abort()
            raise httpx.ConnectError("the server closed the connection")
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self._waiter = waiter
        self._reply, self._without_body = Reply(), without_body
        self._silence = math.inf if read is None else read
        self._until = until
        self._deadline = min(self._loop.time() + self._silence, until)
        self._call_at(self._deadline)
        try:
            self.transport.write(request)
            self._unwritten = self.transport.get_write_buffer_size()
            return await waiter
        except BaseException:
            self.abort()
            raise
        finally:
            self._reply = self._waiter = None

    def abort(self) -> None:
        """Close the socket at once."""
        self.is_usable = False
        if self.transport is not None:
            self.transport.abort()

    def _has_input(self) -> bool:
        """Return whether bytes, or the end of the connection, wait to be read from the socket."""
        connected = self.transport.get_extra_info("socket")
        if connected.fileno() < 0:
            return True  # closed: connection_lost comes next
        if self._poll is None:  # Windows; elsewhere `select` takes no descriptor above 1023
            return bool(select.select([connected], [], [], 0)[0])
        return bool(self._poll.poll(0))

    def _call_at(self, when: float) -> None:
        """Let the timer fire at a time, unless it fires before: then it is set to that time."""
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = None if when == math.inf else self._loop.call_at(when, self._check_time)

    def _check_time(self) -> None:
        """End a request whose response is late, and close a connection that has rested for long."""
        self._timer = None
        now, due = self._loop.time(), self._deadline
        if self._waiter is None:
            due = self._resting_since + MOST_REST
            if now >= due:
                self.abort()
                return
        else:
            unwritten = self.transport.get_write_buffer_size()
            if unwritten != self._unwritten:  # the request is still being written
                self._unwritten, due = unwritten, min(now + self._silence, self._until)
            if now >= due:
                late = OutOfTimeError() if now >= self._until else httpx.ReadTimeout("no byte of the response in time")
                self._fail(late)
                return
            self._deadline = due
        self._call_at(due)

    def _finish(self, reply: Reply) -> None:
        reply.is_over = True
        if self.transport.get_write_buffer_size():
            self.is_usable = False  # the server has answered before it read the request to its end
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(reply)

    def _fail(self, error: Exception) -> None:
        self.is_usable = False
        if self._reply is not None:
            self._reply.is_over = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _fail_malformed(self, cause: Exception) -> None:
        error = httpx.RemoteProtocolError(type(cause).__name__)
        error.__cause__ = cause
        self._fail(error)

    # The loop calls these (`asyncio.Protocol`).

    def connection_made(self, transport: Any) -> None:
        """Take note of the transport."""
        self.transport = transport
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket"), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the response."""
        reply = self._reply
        if reply is None or reply.is_over:
            self.abort()  # they answer no request, and would be read as the response to the next one
            return
        pieces = len(reply.body)
        reply.overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.is_usable = False
            if not reply.is_over:
                self._fail_malformed(error)
            return
        if reply.is_over:
            return
        self._deadline = min(self._loop.time() + self._silence, self._until)
        if reply.overhead > _MOST_OVERHEAD:
            self._fail_malformed(httptools.HttpParserError("its head is too long"))
        if len(reply.body) > pieces + 1:  # many small chunks would take many times their size
            reply.body[pieces:] = [b"".join(reply.body[pieces:])]

    def eof_received(self) -> None:
        """Take note that the server sends no more: this may be the end of a body. The loop closes the connection."""
        reply = self._reply
        self.is_usable = False
        if reply is None or not reply.status or reply.is_over:
            return
        if reply.header(b"content-length") is None and reply.header(b"transfer-encoding") is None:
            self._finish(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that waits for its response."""
        if self._timer is not None:
            self._timer.cancel()
        hung_up = (httpx.RemoteProtocolError if exc is None else httpx.ReadError)("the server hung up")
        hung_up.__cause__ = exc
        self._fail(hung_up)
        if not self.lost.done():
            self.lost.set_result(None)
        self._on_lost(self)

    # The parser calls these, within `data_received`.

    def on_message_begin(self) -> None:
        """Notice a response behind the response."""
        if self._reply is None or self._reply.is_over:
            self.is_usable = False

    def on_status(self, text: bytes) -> None:
        """Take the reason, or a piece of it."""
        reply = self._reply
        if reply is not None and not reply.is_over:
            reply.reason += text

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are dropped."""
        reply = self._reply
        if reply is None or reply.is_over or reply.status:
            return
        reply.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the status; that of an interim response (a 103) does not count."""
        reply, status = self._reply, self._parser.get_status_code()
        if reply is None or reply.is_over or (100 <= status < 200 and status != _SWITCHING):
            return
        reply.status = status
        if self._without_body or status in (_NO_CONTENT, _NOT_MODIFIED):
            # A body behind such a status would be read as the next response (RFC 9112, 6.3).
            announced = reply.header(b"transfer-encoding") or reply.header(b"content-length") not in (None, b"0")
            self.is_usable &= not announced and (self._without_body or self._parser.should_keep_alive())
            self._finish(reply)

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body, within the limit."""
        reply = self._reply
        if reply is None or reply.is_over:
            self.is_usable = False
            return
        reply.overhead = 0
        reply.size += len(data)
        reply.body.append(data)
        if reply.size > self._limit:
            self._fail(BodyTooLargeError(self._limit))

    def on_message_complete(self) -> None:
        """Take the end of the response, or of an interim one."""
        reply = self._reply
        if reply is None or reply.is_over:
            return
        if not reply.status:
            reply.headers.clear()
            reply.reason = b""
            return
        self.is_usable &= reply.status != _SWITCHING and self._parser.should_keep_alive()
        self._finish(reply)
