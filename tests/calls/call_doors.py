"""The ways a client reaches a server, and servers of a few lines."""

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import anyio.streams.tls
import httpx
import httpx2
import pytest
from anyio.abc import SocketAttribute
from kit import login_body

from carecloud_async import CareCloud, CustomerInput, CustomerSourceInput, PersonalInformationInput
from carecloud_async.sandbox import CUSTOMER_SOURCE_IDS, Sandbox


@asynccontextmanager
async def default(url, **options):
    async with CareCloud(url, auth=Sandbox(1).credentials(), **options) as client:
        yield client


@asynccontextmanager
async def with_httpx(url, **options):
    async with (
        httpx.AsyncClient() as http,
        CareCloud(url, auth=Sandbox(1).credentials(), http_client=http, **options) as c,
    ):
        yield c


@asynccontextmanager
async def with_httpx2(url, **options):
    async with (
        httpx2.AsyncClient() as http,
        CareCloud(url, auth=Sandbox(1).credentials(), http_client=http, **options) as client,
    ):
        yield client


@asynccontextmanager
async def with_httpx_aiohttp(url, **options):
    httpx_aiohttp = pytest.importorskip("httpx_aiohttp")
    transport = httpx_aiohttp.AiohttpTransport()
    async with CareCloud(url, auth=Sandbox(1).credentials(), transport=transport, **options) as client:
        yield client


DOORS = {
    "default": default,
    "httpx": with_httpx,
    "httpx2": with_httpx2,
    "httpx-aiohttp": with_httpx_aiohttp,
}


class Connections:
    """A network backend of httpcore's pools that knows each connection, so that a test can close what a pool forgot."""

    def __init__(self, backend):
        self._backend = backend
        self._opened = []

    async def connect_tcp(self, *args, **kwargs):
        stream = await self._backend.connect_tcp(*args, **kwargs)
        self._opened.append(stream)
        return stream

    async def sleep(self, seconds):
        await self._backend.sleep(seconds)

    async def aclose(self):
        for stream in self._opened:
            await stream.aclose()


@asynccontextmanager
async def closing_what_the_pool_forgets(http):
    """Close all connections of a user's client at the end.

    A pool that is closed during calls leaves some to the garbage collector, which would run in the middle of another
    test.
    """
    pool = http._transport._pool
    pool._network_backend = connections = Connections(pool._network_backend)
    try:
        yield http
    finally:
        await http.aclose()
        await connections.aclose()


async def create(client, email="new@example.com"):
    """Create a customer: the write that must not happen twice."""
    return await client.customers.create(
        CustomerInput(personal_information=PersonalInformationInput(first_name="New", email=email, language_id="en")),
        customer_source=CustomerSourceInput(customer_source_id=CUSTOMER_SOURCE_IDS[0]),
    )


class Server:
    """A server of bytes: for each connection, `behave(stream, head)` is called with each request's head.

    Attributes:
        url: where it listens.
        connections: how many came in.
        heads: what they sent.
    """

    def __init__(self, behave):
        self.behave = behave
        self.connections = 0
        self.heads = []
        self.url = ""

    async def handle(self, stream):
        self.connections += 1
        async with stream:
            try:
                while True:
                    head = await self.read_request(stream)
                    self.heads.append(head)
                    if await self.behave(stream, head) is not True:
                        return
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def read_request(self, stream):
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        wanted = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < wanted:
            body += await stream.receive()
        return head


LOGIN = login_body()


def answer(body, status=b"200 OK", *headers):
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), b"Content-Type: application/json", *headers]
    return b"\r\n".join([*lines, b"", body])


@asynccontextmanager
async def serving(behave, *, tls=None):
    """Serve on loopback; logins are answered, everything else is up to `behave`."""

    async def with_login(stream, head):
        if b"/actions/login" in head:
            await stream.send(answer(LOGIN))
            return True
        return await behave(stream, head)

    server = Server(with_login)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.port = listener.extra(SocketAttribute.local_port)
    server.url = f"http://127.0.0.1:{server.port}"
    if tls is not None:
        listener = anyio.streams.tls.TLSListener(listener, tls)
        server.url = f"https://127.0.0.1:{server.port}"
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, server.handle)
        try:
            yield server
        finally:
            group.cancel_scope.cancel()
