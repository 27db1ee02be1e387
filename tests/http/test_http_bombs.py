"""Responses larger than memory, packed or endless: each ends with an error of ours, in time, and in little memory."""

import gzip
import itertools
import tracemalloc
import zlib

import anyio
import anyio.lowlevel
import httpx
import httpx2
import pytest
from kit import login_body

from carecloud_async import CareCloud, ConfigurationError, RequestTimeoutError, ResponseError, RetryPolicy, ServerError
from carecloud_async._calls.http.responses import BodyTooLargeError, UnpackError, read_chunks
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

MEGABYTE = 2**20
MEGABYTE_OF_ZEROS = bytes(MEGABYTE)
HEAD = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\n"


def zeros(megabytes):
    """Pack that many megabytes of zeros: one megabyte that stands for itself, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = gzip.compress(b"", 9)[:10]
    one = packer.compress(MEGABYTE_OF_ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    size = megabytes * MEGABYTE
    return head + one * megabytes + packer.flush() + checksum_of_zeros(megabytes) + size.to_bytes(4, "little")


def checksum_of_zeros(megabytes):
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(MEGABYTE_OF_ZEROS, checksum)
    return checksum.to_bytes(4, "little")


BOMB = zeros(1024)


class chunks:  # noqa: N801  (reads as the function it stands for; a generator left half-way would warn)
    def __init__(self, *parts):
        self.parts = iter(parts)

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return next(self.parts)
        except StopIteration:
            raise StopAsyncIteration from None


async def serve(listener, answer):
    """Answer a login properly, and everything else with what `answer` sends."""

    async def handle(stream):
        async with stream:
            try:
                while True:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += await stream.receive()
                    if head.startswith(b"POST"):
                        body = login_body()
                        await stream.send(HEAD % 200 + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                    else:
                        await answer(stream)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass

    await listener.serve(handle)


def packed(body, encoding=b"gzip", status=200):
    async def answer(stream):
        await stream.send(
            HEAD % status + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body)) + body
        )

    return answer


async def endless(stream):
    await stream.send(HEAD % 200 + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await stream.send(b"10000\r\n" + b" " * 65536 + b"\r\n")


KINDS = ["default", "httpx", "httpx2"]


async def ask(kind, answer, **options):
    """Make one call to a server that answers so, and return what it raised."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    http = None if kind == "default" else {"httpx": httpx, "httpx2": httpx2}[kind].AsyncClient()
    if http is not None:
        options["http_client"] = http
    async with listener, anyio.create_task_group() as group:
        group.start_soon(serve, listener, answer)
        client = CareCloud(f"http://127.0.0.1:{port}", auth=Sandbox(1).credentials(), **options)
        async with client:
            await client.login()
            with pytest.raises(Exception) as caught:  # noqa: PT011  (the tests look at what it is)
                await client.with_options(retry=RetryPolicy(attempts=2, base=0.001)).request("GET", "customers")
        if http is not None:
            await http.aclose()
        group.cancel_scope.cancel()
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
async def test_a_small_limit_holds_for_a_short_answer(kind):
    """A limit below what is read at once counts too: a plain answer of a few hundred bytes is beyond one of 100."""
    error = await ask(kind, packed(b'{"data":"%s"}' % (b"x" * 300), b"identity"), max_response_bytes=100)
    assert str(error) == "GET /customers: the response is larger than max_response_bytes=100"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_small_limit_holds_for_a_plain_answer(kind):
    """The same without a Content-Encoding, which the default transport reads at once."""

    async def plain(stream):
        body = b'{"data":"%s"}' % (b"x" * 300)
        await stream.send(HEAD % 200 + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    error = await ask(kind, plain, max_response_bytes=100)
    assert str(error) == "GET /customers: the response is larger than max_response_bytes=100"


@pytest.mark.parametrize("kind", ["httpx", "httpx2"])
async def test_a_chunked_answer_is_as_long_as_its_chunks(kind):
    """Chunks that are longer than the limit are refused, whatever a Content-Length beside them says."""

    async def both(stream):
        lengths = b"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n"
        await stream.send(HEAD % 200 + lengths + b"12c\r\n%s\r\n0\r\n\r\n" % (b" " * 300))

    error = await ask(kind, both, max_response_bytes=100)
    assert str(error) == "GET /customers: the response is larger than max_response_bytes=100"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer",
    [packed(BOMB), packed(zlib.compress(bytes(8 * MEGABYTE)), b"deflate"), endless],
    ids=["gzip", "deflate", "endless"],
)
async def test_an_answer_beyond_the_limit_is_a_response_error(kind, answer):
    """A gigabyte of gzip, deflate and an endless body end at max_response_bytes, whatever sends."""
    error = await ask(kind, answer, max_response_bytes=4 * MEGABYTE)
    assert isinstance(error, ResponseError)
    assert str(error) == "GET /customers: the response is larger than max_response_bytes=4194304"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_bomb_on_an_error_leaves_the_error(kind):
    """A gigabyte behind a 500 is not unpacked: the call fails as any 500 does."""
    error = await ask(kind, packed(BOMB, status=500))
    assert isinstance(error, ServerError)
    assert error.status == 500


@pytest.mark.parametrize("encoding", [b"br", b"gzip, gzip", b"zstd"])
async def test_a_packing_that_was_not_accepted_is_a_response_error(encoding):
    """Only gzip and deflate are asked for, since only their output can be bounded; one of them is undone."""
    error = await ask("default", packed(BOMB[:1000], encoding))
    assert isinstance(error, ResponseError)
    assert "unpacked" in str(error)


async def test_unpacking_counts_against_the_deadline_and_lets_others_run():
    """Other tasks run while a bomb is unpacked, and a cancelled call stops in the middle of it."""
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        with pytest.raises(BodyTooLargeError):
            await read_chunks(chunks(BOMB), status=200, encoding="gzip", limit=64 * MEGABYTE)
        assert turns > 100
        group.cancel_scope.cancel()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await read_chunks(chunks(BOMB), status=200, encoding="gzip", limit=2**40)
        raise AssertionError("it was unpacked to its end")
    assert scope.cancelled_caught


@pytest.mark.parametrize("data", [bytes(4 * MEGABYTE), b"0123456789abcdef" * 200_000], ids=["zeros", "digits"])
@pytest.mark.parametrize("piece", [1000, MEGABYTE])
async def test_little_is_unpacked_between_two_passes_of_the_loop(monkeypatch, data, piece):
    """Whatever the size of what comes in, others run after 128 KiB of output, a piece of 64 KiB more at most."""
    passes, inflater, checkpoint = [0], zlib.decompressobj, anyio.lowlevel.checkpoint

    class Counted:
        def __init__(self, wbits):
            self.inner = inflater(wbits)

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def decompress(self, data, most):
            part = self.inner.decompress(data, most)
            passes[-1] += len(part)
            return part

    async def noted():
        passes.append(0)
        await checkpoint()

    monkeypatch.setattr(zlib, "decompressobj", Counted)
    monkeypatch.setattr(anyio.lowlevel, "checkpoint", noted)
    packed = gzip.compress(data)
    parts = [packed[start : start + piece] for start in range(0, len(packed), piece)]
    assert await read_chunks(chunks(*parts), status=200, encoding="gzip", limit=8 * MEGABYTE) == data
    assert max(passes) < 192 * 1024
    assert sum(passes) == len(data)


async def test_a_bomb_takes_little_memory():
    """It is not unpacked at once: a bomb never holds more than the limit and some pieces."""
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLargeError):
            await read_chunks(chunks(BOMB), status=200, encoding="gzip", limit=8 * MEGABYTE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MEGABYTE


async def test_a_million_empty_members_end():
    """Gzip members that hold nothing are counted as steps, so that a call can be cancelled between them."""
    empty = gzip.compress(b"")
    with anyio.move_on_after(0.3) as scope:
        await read_chunks(chunks(*itertools.repeat(empty * 3000, 1000)), status=200, encoding="gzip", limit=2**40)
    assert scope.cancelled_caught


@pytest.mark.parametrize("size", [1, 7, 65536, 10**6])
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("X-Gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
        ("gzip", lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]) + bytes(9)),
    ],
    ids=["none", "identity", "gzip", "x-gzip", "zlib", "raw", "members"],
)
async def test_what_is_packed_comes_out_whole(size, encoding, pack):
    """However it is packed and cut, the body is the one that was sent."""
    data = b"".join(b"%d," % number for number in range(40_000 if size > 7 else 400))
    body = pack(data)
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    assert await read_chunks(chunks(*parts), status=200, encoding=encoding, limit=MEGABYTE) == data


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"plain"), ("gzip", gzip.compress(b"text" * 100)[:-12]), ("deflate", b"\x00\x01plain")],
    ids=["plain", "cut", "damaged"],
)
async def test_what_is_not_packed_as_said_is_refused(encoding, body):
    """Plain text under gzip, a truncated stream and damaged deflate cannot be unpacked."""
    with pytest.raises(UnpackError):
        await read_chunks(chunks(body), status=200, encoding=encoding, limit=MEGABYTE)


async def test_an_empty_body_needs_no_unpacking():
    """A 204 with a Content-Encoding has nothing in it."""
    assert await read_chunks(chunks(), status=200, encoding="gzip", limit=1) == b""


async def test_the_limit_itself_is_let_by():
    """A body of exactly the limit passes, one byte more does not."""
    assert len(await read_chunks(chunks(bytes(10)), status=200, encoding="", limit=10)) == 10
    with pytest.raises(BodyTooLargeError):
        await read_chunks(chunks(bytes(11)), status=200, encoding="", limit=10)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_endless_answer_ends_with_the_call(kind):
    """Below the limit, the deadline of the call ends a body that does not."""

    async def drip(stream):
        await stream.send(HEAD % 200 + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send(b"1\r\n \r\n")
            await anyio.sleep(0.01)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    http = None if kind == "default" else {"httpx": httpx, "httpx2": httpx2}[kind].AsyncClient()
    options = {} if http is None else {"http_client": http}
    async with listener, anyio.create_task_group() as group:
        group.start_soon(serve, listener, drip)
        async with CareCloud(f"http://127.0.0.1:{port}", auth=Sandbox(1).credentials(), **options) as client:
            await client.login()
            with pytest.raises(RequestTimeoutError):
                await client.with_options(timeout=0.3).request("GET", "customers")
        if http is not None:
            await http.aclose()
        group.cancel_scope.cancel()


@pytest.mark.parametrize("value", [0, -1, 1.5, "256MB", None, True])
def test_a_limit_that_is_no_number_of_bytes_is_refused(value):
    """`max_response_bytes` is a whole number of bytes, at least one."""
    with pytest.raises(ConfigurationError, match="max_response_bytes"):
        CareCloud("x.example.com", auth=Sandbox(1).credentials(), max_response_bytes=value)
