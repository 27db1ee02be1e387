"""Responses larger than memory, packed or endless: each ends with an error of ours, in time, and in little memory."""

import gzip
import tracemalloc
import zlib

import anyio
import anyio.lowlevel
import httpx
import httpx2
import pytest
from kit import served
from wire_server import answer, new_client, serving

from carecloud_async import (
    CareCloudError,
    RequestTimeoutError,
    ResponseError,
    RetryPolicy,
)

pytestmark = pytest.mark.anyio

MEGABYTE = 2**20
ZEROS = bytes(MEGABYTE)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
KINDS = {"default": lambda: None, "httpx": httpx.AsyncClient, "httpx2": httpx2.AsyncClient}


def zeros(megabytes):
    """Pack that many megabytes of zeros: one megabyte that stands for itself, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = gzip.compress(b"", 9)[:10]
    block = packer.compress(ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(ZEROS, checksum)
    tail = checksum.to_bytes(4, "little") + (megabytes * MEGABYTE).to_bytes(4, "little")
    return head + block * megabytes + packer.flush() + tail


BOMB = zeros(64)


def packed(body, encoding=b"gzip", status=b"200 OK"):
    return answer(body, status, b"Content-Encoding: " + encoding)


async def ask(kind, *pieces, wait=60, **options):
    """Make one call to a server that answers so, and return what it raised."""
    http = KINDS[kind]()
    options = {"retry": RetryPolicy(attempts=2, base=0.001), **options}
    async with serving(*pieces) as server, new_client(server.url, http_client=http, **options) as client:
        await client.login()
        with pytest.raises(CareCloudError) as caught:
            await client.with_options(timeout=wait).request("GET", "customers")
    if http is not None:
        await http.aclose()
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("most", "sent"),
    [
        (100, (packed(b'{"data":"%s"}' % (b"x" * 300), b"identity"),)),
        (100, (answer(b'{"data":"%s"}' % (b"x" * 300)),)),
        (4 * MEGABYTE, (packed(BOMB),)),
        (4 * MEGABYTE, (CHUNKED, *[b"10000\r\n" + b" " * 65536 + b"\r\n"] * 100)),
    ],
    ids=["identity", "plain", "gzip", "endless"],
)
async def test_an_answer_beyond_the_limit_is_a_response_error(kind, most, sent):
    """A plain answer, 64 megabytes in gzip and an endless body end at max_response_bytes, whatever sends."""
    error = await ask(kind, *sent, max_response_bytes=most)
    assert isinstance(error, ResponseError)
    assert error.problem == f"GET /customers: the response is larger than max_response_bytes={most}"
    assert error.fix.settings == ("count", "max_response_bytes")


@pytest.mark.parametrize("kind", ["httpx", "httpx2"])
async def test_a_chunked_answer_is_as_long_as_its_chunks(kind):
    """Chunks that are longer than the limit are refused, whatever a Content-Length beside them says."""
    both = CHUNKED.replace(b"\r\n", b"\r\nContent-Length: 10\r\n", 1) + b"12c\r\n%s\r\n0\r\n\r\n" % (b" " * 300)
    assert "larger than max_response_bytes=100" in str(await ask(kind, both, max_response_bytes=100))


@pytest.mark.parametrize("kind", KINDS)
async def test_an_endless_answer_ends_with_the_call(kind):
    """Below the limit, the deadline of the call ends a body that does not."""
    assert isinstance(await ask(kind, CHUNKED, *[b"1\r\n \r\n", 0.01] * 1000, wait=0.3), RequestTimeoutError)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"br", BOMB[:1000]),
        (b"gzip, gzip", BOMB[:1000]),
        (b"zstd", BOMB[:1000]),
        (b"gzip", b"plain"),
        (b"gzip", gzip.compress(b"text" * 100)[:-12]),
        (b"gzip", gzip.compress(b"text" * 100)[:10] + b"damaged"),
        (b"deflate", zlib.compress(b"text")),
    ],
    ids=["br", "twice", "zstd", "plain", "cut", "damaged", "deflate"],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_packed_as_was_accepted_is_refused(kind, encoding, body):
    """Only gzip is asked for, since its output can be bounded, and it is undone once, whatever sends."""
    error = await ask(kind, packed(body, encoding))
    assert isinstance(error, ResponseError)
    assert "unpacked" in str(error)


class Chunks(httpx.AsyncByteStream):
    """A body in these chunks."""

    def __init__(self, *parts):
        self.parts = parts

    async def __aiter__(self):
        for part in self.parts:
            yield part


def unpacking(*parts, encoding="gzip", **options):
    """Make a client of a server that answers with these chunks."""
    headers = {"Content-Encoding": encoding} if encoding else {}
    options = {"retry": RetryPolicy(attempts=1), **options}
    return served(lambda _: httpx.Response(200, headers=headers, stream=Chunks(*parts)), **options)


async def test_unpacking_counts_against_the_deadline_and_lets_others_run():
    """Other tasks run while a bomb is unpacked, which takes little memory; a cancelled call stops in the middle."""
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with unpacking(BOMB, max_response_bytes=8 * MEGABYTE) as client, anyio.create_task_group() as group:
        await client.login()
        group.start_soon(other)
        tracemalloc.start()
        try:
            with pytest.raises(ResponseError, match="larger"):
                await client.request("GET", "customers")
            assert tracemalloc.get_traced_memory()[1] < 16 * MEGABYTE
        finally:
            tracemalloc.stop()
        assert turns > 50
        group.cancel_scope.cancel()


PACKINGS = {
    "none": ("", bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-Gzip", gzip.compress),
    "padded": ("gzip", lambda data: gzip.compress(data) + bytes(9)),
}


@pytest.mark.parametrize("size", [1, 7, 65536, 10**6])
@pytest.mark.parametrize(("encoding", "pack"), PACKINGS.values(), ids=PACKINGS)
async def test_what_is_packed_comes_out_whole(size, encoding, pack):
    """However it is packed and cut, the body is the one that was sent; exactly the limit passes."""
    text = "".join(f"{number}," for number in range(40_000 if size > 7 else 400))
    body = pack(f'{{"data":"{text}"}}'.encode())
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    async with unpacking(*parts, encoding=encoding, max_response_bytes=max(len(text) + 11, len(body))) as client:
        assert await client.request("GET", "customers") == text
