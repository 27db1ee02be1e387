"""The wire on asyncio: its connections, their pool, timeouts, proxies, and what a cancelled call leaves behind."""

import asyncio
import base64
import os
import socket
import threading

import anyio
import httpx
import pytest
from kit import KnownUser
from wire_server import BODY, answer, new_client, outcome, serving
from wire_server import unreachable as unreachable_port

from carecloud_async import (
    CareCloud,
    ConnectionFailedError,
    OutcomeUnknownError,
    RequestTimeoutError,
    RetryPolicy,
    Timeout,
)

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]  # trio has httpx2's pool

LOCAL = "127.0.0.1"


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def one_user(url, **options):
    return CareCloud(url, auth=KnownUser(), **{"rate_limit": None, **options})


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
async def test_no_request_is_repeated_below_the_retry(method):
    """The SDK's retry counts each attempt: a request whose answer was lost reaches the server once."""

    def hang_up_later(number, request):
        return (answer(BODY),) if number == 1 else (b"",)

    async with serving(hang_up_later) as server, new_client(server.url) as client:
        await client.customers.get("8ea6")
        kind, text, _, _ = await outcome(client.request(method, "customers/8ea6"))
        assert (kind, len(server.requests)) == ("ConnectionFailedError", 2)
        assert "the server hung up" in text


async def test_a_shorter_read_timeout_counts_on_a_connection_that_had_a_longer_one():
    """The timer of a connection is set anew for a call that waits less than the one before."""

    def hang_later(number, request):
        return (answer(BODY),) if number == 1 else (30.0,)

    async with serving(hang_later) as server, one_user(server.url, timeout=Timeout(read=1000, total=1000)) as client:
        await client.ping()
        with anyio.fail_after(20), pytest.raises(OutcomeUnknownError, match="ReadTimeout"):
            await client.with_options(timeout=Timeout(read=0.05)).request("POST", "x", json={})
        assert server.connections == 1


CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
#: The begin of an answer, and what follows without an end.
ENDLESS = {
    "reason": (b"HTTP/1.1 200 ", b"a"),
    "header": (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
    "interim answers": (b"", b"HTTP/1.1 100 A\r\n\r\n"),
    "extension of a chunk": (CHUNK + b"5;x=", b"a"),
    "trailer": (CHUNK + b"0\r\nX-Trailer: ", b"a"),
}


@pytest.mark.parametrize(("begin", "more"), ENDLESS.values(), ids=ENDLESS)
async def test_a_part_of_an_answer_without_an_end_is_not_http(begin, more):
    """Each part of an answer but its body has a bound: the call ends, within little memory."""

    async def endless(stream, request):
        await stream.send(begin or more)
        while True:
            await stream.send(more * 1000)

    async with serving(b"") as server, one_user(server.url) as client:
        server.answer = endless
        with anyio.fail_after(20), pytest.raises(OutcomeUnknownError, match="not valid HTTP"):
            await client.request("POST", "x", json={})


STRAY = answer(BODY.replace(b"8ea6", b"stray"))


@pytest.mark.parametrize(
    ("stray", "wait"),
    [(STRAY, 0), (STRAY, 0.005), (STRAY[:10], 0), (STRAY[:10], 0.005), (b"rubbish", 0.005)],
    ids=["answer", "answer later", "part", "part later", "rubbish later"],
)
async def test_stray_bytes_are_not_the_next_answer(stray, wait):
    """A whole answer, a part of one or rubbish behind an answer: the next call gets its own, on another connection."""

    def misbehave(number, request):
        named = answer(BODY.replace(b"8ea6", b"%04d" % number))
        return (named, wait, stray) if wait else (named + stray,)

    async with serving(misbehave) as server, one_user(server.url) as client:
        for number in (1, 2):
            assert (await client.customers.get("8ea6")).customer_id == f"{number:04}"
            for _ in range(50):  # let the stray bytes come in
                await anyio.sleep(0.001)
        assert server.connections == 2


async def test_an_answer_that_comes_before_the_request_was_read_gives_the_connection_up():
    """A server that refuses a large body unread: the call has its answer, and the rest of the body is not sent on."""
    done = anyio.Event()

    async def refuse(stream):
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive(1000)
            refused = head.startswith(b"POST")
            await stream.send(answer(BODY) if not refused else answer(b'{"error":{}}', b"413 Too Large"))
            await done.wait()

    async with await anyio.create_tcp_listener(local_host=LOCAL) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, refuse)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with one_user(f"http://{LOCAL}:{port}", max_connections=1) as client:
            kind, text, _, _ = await outcome(client.request("POST", "x", json={"long": "x" * 30_000_000}))
            assert (kind, "413" in text) == ("ApiError", True)
            assert (await client.customers.get("8ea6")).customer_id == "8ea6"
        done.set()
        group.cancel_scope.cancel()


class ThreadedServer:
    """Answers one request for each connection, in a thread, and hangs up a moment later."""

    def __init__(self):
        self.listener = socket.create_server((LOCAL, 0))
        self.url = f"http://{LOCAL}:{self.listener.getsockname()[1]}"
        self.requests = []
        self.hang_up, self.hung_up = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        for _ in range(2):
            accepted, _ = self.listener.accept()
            with accepted:
                self.requests.append(accepted.recv(100_000))
                accepted.sendall(answer(BODY))
                self.hang_up.wait(20)
            self.hung_up.set()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.hang_up.set()
        self.thread.join()
        self.listener.close()


async def test_a_connection_that_died_while_the_loop_was_busy_is_not_used():
    """A write after the server hung up unnoticed is sent once, on a new connection: its outcome is known."""
    with ThreadedServer() as server:
        async with one_user(server.url) as client:
            await client.ping()
            server.hang_up.set()
            assert server.hung_up.wait(20)  # in place of a computation that keeps the loop busy
            await client.request("POST", "x", json={})
    assert [request[:4] for request in server.requests] == [b"GET ", b"POST"]


async def test_a_connection_at_rest_closes_itself():
    """After a while without a call its socket is closed, though its server keeps it."""
    loop = asyncio.get_running_loop()
    ended = anyio.Event()

    async with serving(answer(BODY)) as server, one_user(server.url) as client:
        read = server.read

        async def note_end(stream):
            try:
                return await read(stream)
            except anyio.EndOfStream:
                ended.set()
                raise

        server.read = note_end
        await client.ping()
        time = loop.time
        loop.time = lambda: time() + 60
        try:
            with anyio.fail_after(120):
                await ended.wait()
        finally:
            del loop.time


@pytest.fixture
def unreachable():
    with unreachable_port() as port:
        yield port


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors as Linux does")
@pytest.mark.parametrize("addresses", [1, 3])
async def test_a_call_that_is_cancelled_while_it_connects_leaves_no_socket(unreachable, addresses, monkeypatch):
    """One address or several that are tried side by side: no socket and no task is left."""
    loop = asyncio.get_running_loop()

    async def several(host, port, **options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOCAL, port))] * addresses

    monkeypatch.setattr(loop, "getaddrinfo", several)
    async with one_user(f"http://{LOCAL}:{unreachable}", timeout=Timeout(connect=60)) as client:
        before, tasks = descriptors(), asyncio.all_tasks()
        with anyio.move_on_after(0.6):
            await client.ping()
        await anyio.wait_all_tasks_blocked()
        assert (descriptors(), asyncio.all_tasks()) == (before, tasks)


@pytest.mark.parametrize("bound", [Timeout(connect=0.05, total=0.3), Timeout(connect=60, total=0.1)], ids=str)
async def test_a_connection_that_cannot_be_made_in_time_is_a_timeout_before_sending(unreachable, bound):
    """A POST that got no connection did not happen, whichever bound ended it."""
    async with one_user(f"http://{LOCAL}:{unreachable}") as client:
        with pytest.raises(RequestTimeoutError, match="no connection in time") as caught:
            await client.with_options(timeout=bound).request("POST", "x", json={})
    assert not caught.value.may_have_happened


async def test_no_more_connections_than_allowed_and_the_first_to_wait_is_served_first():
    """Twelve calls on three connections are served in their order."""
    order = []

    def note(number, request):
        order.append(request.split(b" ")[1].rpartition(b"/")[2])
        return 0.01, answer(BODY)

    async with serving(note) as server, one_user(server.url, max_connections=3) as client:
        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(client.customers.get, f"{number:02}")
                await anyio.lowlevel.checkpoint()
        assert server.connections == 3
    assert order[3:] == sorted(order[3:])


@pytest.mark.carecloud_network("crm.example.com")
async def test_a_proxy_gets_requests_for_an_http_address_as_its_own():
    """The request names the whole URL and carries the proxy's password, percent-encoded or not; no tunnel is made."""
    async with serving(answer(BODY)) as server:
        proxy = server.url.replace("//", "//us%40er:se%3Acret@")
        async with one_user("http://crm.example.com", allow_http=True, proxy=proxy) as client:
            assert (await client.customers.get("8ea6")).customer_id == "8ea6"
    [request] = server.requests
    assert request.startswith(b"GET http://crm.example.com/webservice/")
    assert b"\r\nProxy-Authorization: Basic " + base64.b64encode(b"us@er:se:cret") + b"\r\n" in request
    assert b"\r\nHost: crm.example.com\r\n" in request


@pytest.mark.carecloud_network("::1")
async def test_a_tunnel_to_an_address_of_ipv6_names_it_in_brackets():
    """CONNECT wants host and port (RFC 9110, 9.3.6)."""
    async with (
        serving(answer(b"", b"403 Forbidden")) as server,
        one_user("https://[::1]:8443", proxy=server.url) as client,
    ):
        with pytest.raises(ConnectionFailedError, match="the proxy refuses with 403"):
            await client.ping()
    assert server.requests[0].startswith(b"CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n")


@pytest.mark.carecloud_network("crm.example.com")
async def test_bytes_that_a_proxy_sends_behind_its_answer_are_not_the_servers():
    """What comes before TLS has begun comes from the proxy: the tunnel is given up."""
    async with serving(answer(BODY)) as server, one_user("https://crm.example.com", proxy=server.url) as client:
        with pytest.raises(ConnectionFailedError, match="not reached") as caught:
            await client.with_options(retry=RetryPolicy(attempts=1)).request("POST", "x", json={})
    assert not caught.value.may_have_happened


async def test_a_client_for_http_never_sends_in_the_clear_to_an_https_address():
    """`client.http` of a local project has no TLS: it refuses, and does not connect without."""
    async with serving(answer(BODY)) as server, one_user(server.url) as client:
        with pytest.raises(httpx.UnsupportedProtocol, match="no TLS"):
            await client.http.get(server.url.replace("http:", "https:"))
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.http.get("ftp://127.0.0.1/")
    assert server.requests == []


async def test_a_streamed_body_of_the_users_own_request_is_sent_whole():
    """`client.http` takes any request of httpx: one whose content is a stream has its length."""

    async def stream():
        for piece in (b"ab", b"cd"):
            yield piece

    async with serving(answer(BODY)) as server, one_user(server.url) as client:
        response = await client.http.post(f"{server.url}/x#part", content=stream(), headers={"X-Name": "ř".encode()})
        assert response.content == BODY
        head = await client.http.head(f"{server.url}/x")
        assert (head.status_code, head.content) == (200, b"")
    [request, _] = server.requests
    assert request.startswith(b"POST /x HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\nabcd")
    assert request.lower().count(b"content-length: 4\r\n") == 1
    assert b"transfer-encoding" not in request.lower()
    assert "X-Name: ř\r\n".encode() in request
