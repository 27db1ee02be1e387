"""Reads get through what can be got through."""

import importlib
from functools import partial

import kit
import pytest
from call_doors import DOORS, create
from clocks import ManualClock, passing_time
from wire_server import serving

from carecloud_async import (
    CareCloud,
    CareCloudError,
    ClientClosedError,
    ConnectionFailedError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    RetryPolicy,
    ServerError,
    Timeout,
)
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
QUICK = RetryPolicy(base=0.001)


@pytest.fixture
def in_process(sandbox):
    return partial(kit.connect, sandbox, retry=QUICK)


async def test_a_read_gets_through_six_failures_in_a_row(door, sandbox):
    """Two 503s, two dropped connections, a 500 and a 429, with default attempts, on every transport."""
    async with sandbox.serving() as url, door(url, retry=QUICK) as client:
        await client.ping()
        sandbox.forget_requests()
        for fault in (
            {"status": 503, "times": 2},
            {"cut": True},
            {"cut": "half"},
            {"status": 500},
            {"status": 429, "retry_after": 0},
        ):
            sandbox.faults.add("GET /customers", **fault)
        assert await client.customers.list().total() == 200
        assert sandbox.count("GET /customers") == 7


@pytest.mark.parametrize("fault", [{"garbage": True}, {"body": b""}, {"body": '{"data":{"customers":[{"customer_id'}])
async def test_an_answer_that_is_cut_off_is_repeated_like_a_lost_one(in_process, sandbox, fault):
    """A read with a damaged 200 is sent again, and a prefetch goes on."""
    async with in_process() as client:
        await client.ping()
        sandbox.faults.add("GET /customers", times=2, after=3, **fault)
        async with client.customers.list(count=20).prefetch(4) as records:
            assert len([record async for record in records]) == 200


async def test_an_answer_that_stays_damaged_names_itself(in_process, sandbox):
    """The error says which page, which status and which call; the policy's attempts are not exceeded."""
    async with in_process(retry=RetryPolicy(attempts=3, base=0.001)) as client:
        await client.ping()
        fault = sandbox.faults.add("GET /customers", times=None, garbage=True)
        with pytest.raises(ResponseError, match="GET /customers: the body is not JSON") as caught:
            await client.customers.list(count=20, offset=60).page()
        error = caught.value
        assert f"(status 200, offset 60, count 20, id {error.correlation_id})" in str(error)
        assert (error.status, fault.hits, error.is_retryable) == (200, 3, True)


@pytest.mark.parametrize("seconds", ["36000", "9" * 23])
async def test_a_ten_hour_retry_after_raises_within_seconds(in_process, sandbox, seconds):
    """The caller learns how long to stay away, at once; so does the next one, seconds later."""
    clock = ManualClock()
    async with passing_time(clock), in_process(retry=RetryPolicy(), clock=clock) as client:
        await client.ping()
        sandbox.faults.add("GET /customers", status=429, retry_after=seconds, times=None)
        for _ in range(2):
            before = clock.now
            with pytest.raises(RateLimitError) as caught:
                await client.ping()
            assert caught.value.retry_after == pytest.approx(float(seconds))
            assert clock.now - before < 3


async def test_the_total_time_covers_login_and_repeats(in_process, sandbox):
    """A wait that would end after the deadline is not begun."""
    clock = ManualClock()
    policy = RetryPolicy(base=0.001, max_wait=60, attempts=50)
    async with passing_time(clock), in_process(retry=policy, clock=clock, timeout=40, rate_limit=None) as client:
        sandbox.faults.add("POST /users/actions/login", status=503, retry_after=15)
        sandbox.faults.add("GET /customers", status=503, times=None, retry_after=15)
        before = clock.now
        with pytest.raises(ServerError):
            await client.ping()
        assert clock.now - before <= 40
        assert sandbox.count("GET /customers") >= 1


async def test_a_silent_server_is_a_timeout(door):
    """A server that sends no byte within the read timeout is a timeout, on every attempt."""
    policy = RetryPolicy(attempts=2, base=0.001)
    async with serving(30.0) as server, door(server.url, retry=policy) as client:
        await client.login()
        with pytest.raises(RequestTimeoutError, match="no answer in time") as caught:
            await client.with_options(timeout=Timeout(read=0.1)).ping()
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.is_retryable
        assert sum(b"GET" in head for head in server.requests) == 2


NO_HTTP = {
    "immediate close": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "no status": b"HTTP/1.1 banana OK\r\n\r\n",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "endless line": b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 200_000,
    "odd header": b"HTTP/1.1 200 OK\r\nX Y Z\x00: 1\r\nContent-Length: 2\r\n\r\n{}",
    "unknown encoding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: banana\r\n\r\n{}",
    "binary": bytes(range(256)),
    "strange redirect": b"HTTP/1.1 302 Found\r\nLocation: http://[::bad\r\nContent-Length: 0\r\n\r\n",
    "status 999": b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}",
    "status 101": b"HTTP/1.1 101 Switching\r\n\r\n",
}


#: Whole answers, which are errors of another kind.
WHOLE_HTTP = ["strange redirect", "status 999", "status 101", "unknown encoding"]
BROKEN_HTTP = [
    "no status", "bad chunk", "bad length", "two lengths", "endless line", "odd header", "binary", "late bad chunk",
]  # fmt: skip
CUT_HTTP = ["immediate close", "half a head", "half a body", "half a chunk"]
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"


@pytest.mark.parametrize("what", [*WHOLE_HTTP, "not HTTP"])
async def test_an_answer_that_the_api_never_gives_is_an_error_of_the_sdk(door, what):
    """Whatever comes, the error is a CareCloudError, and nothing of the HTTP library hangs on it."""
    policy = RetryPolicy(attempts=2, base=0.001)
    async with serving(NO_HTTP[what], b"") as server, door(server.url, retry=policy) as client:
        with pytest.raises(CareCloudError) as caught:
            await client.with_options(timeout=2).ping()
        assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("what", [*BROKEN_HTTP, *CUT_HTTP])
async def test_an_answer_that_breaks_http_is_not_reported_as_a_cut_connection(door, what):
    """An answer that is not valid HTTP is named as that: a read is repeated, a write may have happened."""
    if what == "late bad chunk" and door is DOORS["httpx-aiohttp"]:
        pytest.skip("aiohttp alone does not tell the reader of the body")
    pieces = (CHUNKS, 0.05, b"zz\r\nab\r\n") if what == "late bad chunk" else (NO_HTTP[what],)
    policy = RetryPolicy(attempts=2, base=0.001)
    async with serving(*pieces, b"") as server, door(server.url, retry=policy) as client:
        await client.login()
        with client.record_calls() as calls, pytest.raises(ConnectionFailedError) as read:
            await client.ping()
        assert read.value.is_retryable
        assert read.value.__cause__ is read.value.__context__ is None
        with (
            client.record_calls() as writes,
            pytest.raises(OutcomeUnknownError, match="look before sending it again") as written,
        ):
            await create(client)
    assert [item.attempts for item in (*calls, *writes)] == [2, 1]
    told = [str(item.value) for item in (read, written)]
    if what in BROKEN_HTTP:
        assert all("not valid HTTP" in text for text in told)
    else:
        assert "the server hung up" in told[0]
        assert "the answer was lost" in told[1]


@pytest.mark.parametrize("name", ["httpx", "httpx2"])
async def test_a_closed_http_client_is_named(name):
    """The user closed the client underneath: the error says so."""
    http = importlib.import_module(name).AsyncClient()
    async with CareCloud("127.0.0.1", auth=Sandbox(1).credentials(), http_client=http) as client:
        await http.aclose()
        with pytest.raises(ClientClosedError, match="http_client was closed"):
            await client.ping()
