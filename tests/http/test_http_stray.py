"""Bytes that a server sends behind a response are not the response to the next request."""

import anyio
import pytest
from kit import login_body

from carecloud_async import CareCloud
from carecloud_async.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def answer(body):
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def customer(name):
    return answer(b'{"data":{"customer_id":"%s"}}' % name)


LOGIN = answer(login_body())


class Server:
    """Answers each request with its own path; `stray` is sent behind the answer, at once or a moment later."""

    def __init__(self, stray, *, later):
        self.stray = stray
        self.later = later
        self.connections = 0

    async def handle(self, stream):
        self.connections += 1
        async with stream:
            try:
                while True:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += await stream.receive()
                    path = head.split(b" ")[1]
                    if head.startswith(b"POST"):
                        await stream.send(LOGIN)
                    else:
                        await self.reply(stream, customer(path.rsplit(b"/")[-1]))
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass

    async def reply(self, stream, body):
        if not self.later:
            await stream.send(body + self.stray)
            return
        await stream.send(body)
        await anyio.sleep(0.005)  # the client has read the answer, and is at rest
        await stream.send(self.stray)


async def two_calls(server):
    """Return whom two calls on one connection find."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    found = []
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, server.handle)
        async with CareCloud(f"http://127.0.0.1:{port}", auth=Sandbox(1).credentials(), rate_limit=None) as client:
            for name in ("a", "b"):
                found.append((await client.customers.get(name)).customer_id)
                for _ in range(50):  # let the stray bytes come in
                    await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    return found


@pytest.mark.parametrize(
    ("stray", "later"),
    [
        (customer(b"stray"), False),
        (customer(b"stray"), True),
        (b"HTTP/1.1 2", False),
        (b"HTTP/1.1 2", True),
        (b"rubbish", True),  # at once, it would break the answer that it follows
    ],
    ids=["answer-at-once", "answer-later", "part-at-once", "part-later", "rubbish-later"],
)
async def test_stray_bytes_are_not_the_next_answer(stray, later):
    """A whole answer, a part of one or rubbish behind an answer: the next call gets its own."""
    server = Server(stray, later=later)
    assert await two_calls(server) == ["a", "b"]
    if stray == customer(b"stray"):
        assert server.connections == 2


async def test_connections_without_stray_bytes_are_kept():
    """A server that behaves keeps its one connection."""
    server = Server(b"", later=False)
    assert await two_calls(server) == ["a", "b"]
    assert server.connections == 1
