"""A server on a socket that answers with the bytes it is given, and a client of it."""

import contextlib
import inspect
import re
import socket

import anyio
from anyio.abc import SocketAttribute
from kit import login_body

from carecloud_async import CareCloud, CareCloudError, RetryPolicy
from carecloud_async.sandbox import Sandbox

BODY = b'{"data":{"customer_id":"8ea6","customers":[],"total_items":0}}'


class Server:
    """Gives out the same pieces for each request but logins; a piece that is a number is waited for, in seconds.

    In place of the pieces stands a function that returns them, given the number of the request and the request, or a
    coroutine function that is given the stream and the request, writes the answer itself, and returns whether the
    connection goes on.
    """

    def __init__(self, *pieces):
        self.pieces = pieces
        self.requests = []
        self.connections = 0
        self.asked = anyio.Event()
        self.logins = 0
        self.url = ""

    async def handle(self, stream):
        self.connections += 1
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                while await self.answer(stream, await self.read(stream)):
                    pass

    async def read(self, stream):
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        while len(body) < int(length[1] if length else 0):
            body += await stream.receive()
        return head + b"\r\n\r\n" + body

    async def answer(self, stream, request):
        if b"/actions/login" in request:
            self.logins += 1
            await stream.send(answer(login_body(f"token-{self.logins}")))
            return True
        self.requests.append(request)
        self.asked.set()
        pieces = self.pieces
        if inspect.iscoroutinefunction(pieces[0]):
            return await pieces[0](stream, request) is True
        if callable(pieces[0]):
            pieces = pieces[0](len(self.requests), request)
        for piece in pieces:
            if isinstance(piece, bytes):
                await stream.send(piece)
            else:
                await anyio.sleep(piece)
        return pieces[-1] != b""


def answer(body, status=b"200 OK", *headers):
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers, b"", body])


def chunked(body, *headers):
    lines = [b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", *headers, b"", b"%x" % len(body), body, b"0", b"", b""]
    return b"\r\n".join(lines)


@contextlib.asynccontextmanager
async def serving(*pieces):
    server = Server(*pieces)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, server.handle)
        try:
            with anyio.fail_after(60):
                yield server
        finally:
            group.cancel_scope.cancel()


@contextlib.contextmanager
def unreachable():
    """A port whose queue of new connections is full: connecting to it takes for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def new_client(url, **options):
    auth = Sandbox(1).credentials()
    return CareCloud(url, auth=auth, **{"rate_limit": None, "retry": RetryPolicy(attempts=1), **options})


async def outcome(call):
    """Return what comes of a call, without what chance put into it."""
    try:
        return await call
    except CareCloudError as error:
        chain, link = [], error.__cause__
        while link is not None:
            chain.append(type(link).__name__)
            link = link.__cause__
        return type(error).__name__, re.sub(r"id [0-9a-f]{16}", "id …", str(error)), error.is_retryable, chain
