"""A plain request goes past aiohttp's session, and ends the same whatever comes back."""

import gzip
import zlib

import aiohttp
import anyio
import pytest
from exchange_server import BODY, answer, chunked, new_client, outcome, serving

from carecloud_async import CareCloudError, RetryPolicy, Timeout
from carecloud_async._calls.http.transport import AiohttpTransport

pytestmark = pytest.mark.anyio

LONG = 20_000


@pytest.fixture
def anyio_backend():
    """Run on asyncio alone, as aiohttp does."""
    return "asyncio"


ANSWERS = {
    "plain": (answer(BODY),),
    "in pieces": (answer(BODY)[:30], 0.01, answer(BODY)[30:70], 0.01, answer(BODY)[70:]),
    "chunked": (chunked(BODY),),
    "gzip": (answer(gzip.compress(BODY), b"200 OK", b"Content-Encoding: gzip"),),
    "gzip, chunked": (chunked(gzip.compress(BODY), b"Content-Encoding: gzip"),),
    "deflate": (answer(zlib.compress(BODY), b"200 OK", b"Content-Encoding: deflate"),),
    "no gzip": (answer(b"no gzip", b"200 OK", b"Content-Encoding: gzip"),),
    "unknown packing": (answer(BODY, b"200 OK", b"Content-Encoding: br"),),
    "until the end": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY, b""),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY), b""),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + answer(BODY),),
    "a long header": (answer(BODY, b"200 OK", b"X-Policy: " + b"x" * LONG),),
    "a header too long": (answer(BODY, b"200 OK", b"X-Policy: " + b"x" * 5 * LONG),),
    "odd header": (answer(BODY, b"200 OK", "X-Odd: ř".encode(), b"Set-Cookie: a=b"),),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n",),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n\r\n",),
    "switching": (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",),
    "redirect": (answer(b"", b"302 Found", b"Location: /elsewhere"),),
    "bad request": (answer(b'{"error":{"exception":"BAD"}}', b"400 Bad Request"),),
    "not found": (answer(b"{}", b"404 Not Found"),),
    "forbidden": (answer(b"<html>", b"403 Forbidden"),),
    "throttled": (answer(b"{}", b"429 Too Many Requests", b"Retry-After: 7"),),
    "down": (answer(b"down", b"503 Service Unavailable"),),
    "a long failure": (answer(b"x" * 3_000_000, b"500 Internal Server Error"),),
    "no JSON": (answer(b"<html>"),),
    "nothing": (b"",),
    "half a head": (b"HTTP/1.1 200 O", b""),
    "half a body": (answer(BODY)[:-5], b""),
    "half a chunk": (chunked(BODY)[:-20], b""),
    "a broken chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b""),
    "a broken length": (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", b""),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", b""),
    "too large": (answer(b"x" * 2_000_000),),
    "too large, chunked": (chunked(b"x" * 2_000_000),),
    "too large, unpacked": (answer(gzip.compress(b"x" * 2_000_000), b"200 OK", b"Content-Encoding: gzip"),),
    "stray bytes": (answer(BODY) + b"HTTP/1.1 200 OK\r\n",),
    "slow head": (1.0, answer(BODY)),
    "slow body": (answer(BODY)[:-5], 1.0, answer(BODY)[-5:]),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_whatever_comes_back_ends_as_with_a_session(ways, name):
    """Result or error, its words and its causes, what was sent, and the state of the connection are the same."""
    found = []
    for way in ("exchange", "session"):
        if way == "session":
            ways.force_session()
        timeout = Timeout(read=0.1 if name.startswith("slow") else 20)
        options = {"max_response_bytes": 1_000_000, "timeout": timeout}
        async with serving(*ANSWERS[name]) as server, new_client(server.url, **options) as client:
            await client.login()
            results = [await outcome(client.customers.get("8ea6")), await outcome(client.customers.get("8ea6"))]
            with client.record_calls() as records:
                results.append(await outcome(client.request("GET", "customers")))
            [record] = records
            results.append((record.status, dict(record.headers), record.error, record.attempts))
            results.append((len(server.requests), server.connections))
        found.append(results)
        assert ways.seen[-1] == way
    assert found[0] == found[1]


async def test_a_refused_token_is_renewed_and_the_request_replayed_once(ways):
    """The second sending differs by its token alone."""

    def refuse_first(number, request):
        return (answer(b'{"error": {}}', b"401 Unauthorized") if number == 1 else answer(BODY),)

    async with serving(refuse_first) as server, new_client(server.url) as client:
        assert (await client.customers.get("8ea6")).customer_id == "8ea6"
    first, second = server.requests
    assert b"\r\nAuthorization: Bearer token-1\r\n" in first
    assert first.replace(b"token-1", b"token-2") == second
    assert set(ways.seen) == {"exchange"}


async def test_a_throttled_read_is_sent_again(ways):
    """A 429 is waited for and repeated by this way too."""

    def throttle_first(number, request):
        return (answer(b"{}", b"429 Too Many Requests", b"Retry-After: 0") if number == 1 else answer(BODY),)

    async with serving(throttle_first) as server, new_client(server.url, retry=RetryPolicy(base=0.001)) as client:
        assert (await client.customers.get("8ea6")).customer_id == "8ea6"
    assert len(server.requests) == 2
    assert set(ways.seen) == {"exchange"}


@pytest.mark.parametrize("way", ["exchange", "session"])
@pytest.mark.parametrize("pieces", [(30.0,), (answer(BODY)[:-5], 30.0)], ids=["before the head", "in the body"])
async def test_a_cancelled_call_gives_its_connection_up(ways, way, pieces):
    """The server sees it closed, and the pool's one place is free for the next call."""
    if way == "session":
        ways.force_session()

    reached = anyio.Event()

    def hang_first(number, request):
        sent = (answer(BODY),) if reached.is_set() else pieces
        reached.set()
        return sent

    async with serving(hang_first) as server, new_client(server.url, max_connections=1) as client:
        await client.login()
        async with anyio.create_task_group() as group:
            group.start_soon(client.customers.get, "8ea6")
            await reached.wait()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert (await client.customers.get("8ea6")).customer_id == "8ea6"
        assert ways.seen[-1] == way


@pytest.mark.parametrize("way", ["exchange", "session"])
@pytest.mark.parametrize("bound", ["read", "total"])
async def test_an_answer_that_does_not_come_ends_in_time(ways, way, bound):
    """`read` bounds the silence and `total` the call; the error says which, and the next call is served."""
    if way == "session":
        ways.force_session()

    hanging = [True]

    def hang_first(number, request):
        return (30.0,) if hanging else (answer(BODY),)  # a busy machine may need all the time before it sends

    timeout = Timeout(**{"read": 20, "total": 20, bound: 0.05})
    async with serving(hang_first) as server, new_client(server.url, timeout=60, max_connections=1) as client:
        await client.login()
        kind, text, _, _ = await outcome(client.with_options(timeout=timeout).customers.get("8ea6"))
        assert kind == "RequestTimeoutError"
        assert ("total" in text) == (bound == "total")
        hanging.clear()
        assert (await client.customers.get("8ea6")).customer_id == "8ea6"


@pytest.mark.parametrize("fault", ["broken", "no connection"])
async def test_what_instrumentation_sees_of_an_error_shows_neither_query_nor_token(ways, fault, monkeypatch):
    """A broken answer, and a connection that is not made in time: aiohttp's exceptions name the server only."""
    ways.force_session()
    send, caught = AiohttpTransport.handle_async_request, []

    async def watched(transport, request):
        try:
            return await send(transport, request)
        except Exception as error:
            caught.append(error)
            raise

    async def connect_too_late(connector, req, traces, timeout):
        raise TimeoutError

    monkeypatch.setattr(AiohttpTransport, "handle_async_request", watched)
    async with serving(b"HTTP/9.9 none\r\n\r\n") as server, new_client(server.url) as client:
        await client.login()
        if fault == "no connection":
            monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect_too_late)
        with pytest.raises(CareCloudError):
            await client.customers.list(email="jane@example.com").total()
    shown = ""
    while caught:
        link = caught.pop()
        shown += f"{link} {link!r} {link.args!r}"
        caught += [one for one in (link.__cause__, link.__context__) if one is not None]
    assert "jane" not in shown
    assert "token-1" not in shown


async def test_a_closed_client_ends_what_is_under_way(ways):
    """`aclose()` in the middle of an exchange ends it with the error of a closed client."""
    async with serving(30.0) as server:
        client = new_client(server.url)
        await client.login()
        found = []

        async def call():
            found.append(await outcome(client.customers.get("8ea6")))

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await server.asked.wait()
            await client.aclose()
    assert [result[0] for result in found] == ["ClientClosedError"]
    assert set(ways.seen) == {"exchange"}


async def test_a_server_that_hangs_up_at_rest_costs_no_failure_of_a_read():
    """A kept connection that the server has closed is not used, or the read is repeated."""
    async with serving(answer(BODY), b"") as server, new_client(server.url, retry=RetryPolicy(base=0.001)) as client:
        for _ in range(3):
            assert (await client.customers.get("8ea6")).customer_id == "8ea6"


async def test_a_trace_config_sees_the_requests(ways):
    """What aiohttp's tracers hang on the session is asked: requests go through it from then on."""
    seen = []

    async def started(session, context, params):
        seen.append(params.method)

    async with serving(answer(BODY)) as server, new_client(server.url) as client:
        await client.customers.get("8ea6")
        config = aiohttp.TraceConfig()
        config.on_request_start.append(started)
        config.freeze()
        client.http._transport._inner._session.trace_configs.append(config)
        assert (await client.customers.get("8ea6")).customer_id == "8ea6"
    assert seen == ["GET"]
    assert ways.seen == ["exchange", "exchange"]


async def test_where_a_release_of_aiohttp_moved_a_part_its_session_does_the_work(ways, monkeypatch):
    """A connector that is asked in another way than is known leaves calls slower, and whole."""
    connect = aiohttp.TCPConnector.connect

    async def moved(self, request, traces, timeout, priority=0):
        return await connect(self, request, traces, timeout)

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", moved)
    async with serving(answer(BODY)) as server, new_client(server.url) as client:
        assert (await client.customers.get("8ea6")).customer_id == "8ea6"
    assert ways.seen == []
