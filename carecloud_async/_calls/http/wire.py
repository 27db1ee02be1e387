"""One HTTP/1.1 connection on asyncio: it writes a request, and httptools parses the response while it arrives.

`ResponseParser` makes `Reply`s of bytes, and knows no time; `Connection` has the socket, the waiting request and the
timer. Every failure is the exception of httpx that says whether the request may have been sent.
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

    Args:
        without_body: whether it has no body, whatever its head says (HEAD, CONNECT).

    Attributes:
        status: its status; 0 until its head is complete.
        reason: the text behind the status.
        headers: its headers, as they came.
        body: the body in pieces, as it came.
        is_over: whether nothing more belongs to it: it is complete, or has failed.
        error: why it failed, if it did.
    """

    __slots__ = ("body", "error", "headers", "is_over", "overhead", "reason", "size", "status", "without_body")

    def __init__(self, *, without_body: bool) -> None:
        self.without_body = without_body
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.is_over = False
        self.error: Exception | None = None
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

    def fail(self, error: Exception) -> None:
        """End it with an error, unless it is over."""
        if not self.is_over:
            self.is_over, self.error = True, error


class ResponseParser:
    """Makes replies of the bytes of one connection. httptools calls its methods `on_…` within `feed`.

    Args:
        max_response_bytes: the largest body, as it comes over the wire.

    Attributes:
        reply: the response that is awaited; `None` between two requests.
        allows_another: whether another request may follow: each response was complete and allowed it, and no byte
            followed it.
    """

    def __init__(self, max_response_bytes: int) -> None:
        self.reply: Reply | None = None
        self.allows_another: bool = True
        self._limit = max_response_bytes
        self._parser: Any = httptools.HttpResponseParser(self)
        # As tolerant as aiohttp and h11: none of these changes where a response ends.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    def feed(self, reply: Reply, data: bytes) -> None:
        """Parse bytes of the response that is awaited."""
        pieces = len(reply.body)
        reply.overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.allows_another = False
            reply.fail(_malformed(error))
            return
        if reply.overhead > _MOST_OVERHEAD:
            reply.fail(_malformed(httptools.HttpParserError("its head is too long")))
        if len(reply.body) > pieces + 1:  # many small chunks would take many times their size
            reply.body[pieces:] = [b"".join(reply.body[pieces:])]

    def end(self, reply: Reply) -> None:
        """Take note that the server sends no more: this is the end of a body whose length was not announced."""
        if reply.status and reply.header(b"content-length") is None and reply.header(b"transfer-encoding") is None:
            reply.is_over = True

    def on_message_begin(self) -> None:
        """Notice a response behind the response."""
        if self._awaited() is None:
            self.allows_another = False

    def on_status(self, text: bytes) -> None:
        """Take the reason, or a piece of it."""
        reply = self._awaited()
        if reply is not None:
            reply.reason += text

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are dropped."""
        reply = self.reply  # no call: this method is called most often
        if reply is not None and not reply.is_over and not reply.status:
            reply.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the status; that of an interim response (a 103) does not count."""
        reply, status = self._awaited(), self._parser.get_status_code()
        if reply is None or (100 <= status < 200 and status != _SWITCHING):
            return
        reply.status = status
        if reply.without_body or status in (_NO_CONTENT, _NOT_MODIFIED):
            # A body behind such a status would be read as the next response (RFC 9112, 6.3).
            announced = reply.header(b"transfer-encoding") or reply.header(b"content-length") not in (None, b"0")
            self.allows_another &= not announced and (reply.without_body or self._parser.should_keep_alive())
            reply.is_over = True

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body, within the limit."""
        reply = self._awaited()
        if reply is None:
            self.allows_another = False
            return
        reply.overhead = 0
        reply.size += len(data)
        reply.body.append(data)
        if reply.size > self._limit:
            reply.fail(BodyTooLargeError(self._limit))

    def on_message_complete(self) -> None:
        """Take the end of the response, or of an interim one."""
        reply = self._awaited()
        if reply is None:
            return
        if not reply.status:
            reply.headers.clear()
            reply.reason = b""
            return
        self.allows_another &= reply.status != _SWITCHING and self._parser.should_keep_alive()
        reply.is_over = True

    def _awaited(self) -> Reply | None:
        """Return the response that is awaited, unless it is over."""
        reply = self.reply
        return None if reply is None or reply.is_over else reply


def _malformed(cause: Exception) -> Exception:
    error = httpx.RemoteProtocolError(type(cause).__name__)
    error.__cause__ = cause
    return error


class Connection(asyncio.Protocol):
    """One connection, which has one request at a time.

    Args:
        loop: the running loop.
        origin: where its requests go.
        max_response_bytes: the largest body, as it comes over the wire.
        on_lost: called with the connection when its socket is closed.

    Attributes:
        is_usable: whether another request may be sent.
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
        self._on_lost = on_lost
        self._parser = ResponseParser(max_response_bytes)
        self._waiter: asyncio.Future[Reply] | None = None
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
        self._parser.reply = Reply(without_body=without_body)
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
            self._parser.reply = self._waiter = None

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

    def _fail(self, error: Exception) -> None:
        self.is_usable = False
        reply = self._parser.reply
        if reply is not None:
            reply.fail(error)
            self._settle(reply)

    def _settle(self, reply: Reply) -> None:
        """Hand a reply that is over to the request that waits for it."""
        if reply.error is not None or self.transport.get_write_buffer_size():
            self.is_usable = False  # it has failed, or came before the server had read the request to its end
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if reply.error is None:
            waiter.set_result(reply)
        else:
            waiter.set_exception(reply.error)

    # The loop calls these (`asyncio.Protocol`).

    def connection_made(self, transport: Any) -> None:
        """Take note of the transport."""
        self.transport = transport
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket"), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the response."""
        parser = self._parser
        reply = parser.reply
        if reply is None or reply.is_over:
            self.abort()  # they answer no request, and would be read as the response to the next one
            return
        parser.feed(reply, data)
        if reply.is_over:
            self.is_usable &= parser.allows_another
            self._settle(reply)
        else:
            self._deadline = min(self._loop.time() + self._silence, self._until)

    def eof_received(self) -> None:
        """Take note that the server sends no more: this may be the end of a body. The loop closes the connection."""
        self.is_usable = False
        reply = self._parser.reply
        if reply is not None and not reply.is_over:
            self._parser.end(reply)
            if reply.is_over:
                self._settle(reply)

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
