"""Responses: read to their end within a largest size, unpacked in pieces between which other tasks run.

The HTTP libraries unpack a whole chunk: a megabyte of gzip becomes a gigabyte before a caller can stop it. Here it is
unpacked in pieces. Each piece counts towards the largest size, and a cancelled call stops before the next piece.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from types import ModuleType
from typing import Any

import anyio.lowlevel

#: `Accept-Encoding` of requests: an encoding whose output can be bounded.
ACCEPT_ENCODING = "gzip"
#: The default bound on a response, in bytes, unpacked.
MAX_RESPONSE_BYTES = 256 * 2**20
#: A body up to this size, in bytes, is read at once.
_SHORT = 2**20
_PIECE = 64 * 1024
#: Bytes that are unpacked before other tasks run: 0.1 ms of JSON, less than 1 ms at worst (hexadecimal noise). Every
#: page in flight may take that long in one pass of the loop.
_YIELD_AFTER = 128 * 1024
_YIELD_AFTER_STEPS = 64
#: The most chunks that a closed response may still yield from its buffer.
_MOST_LEFT_CHUNKS = 1000
#: What zlib calls the format of gzip (RFC 1952).
_GZIP = zlib.MAX_WBITS | 16


class BodyTooLargeError(Exception):
    """A response is larger than the bound."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the response is larger than max_response_bytes={limit}")


class UnpackError(Exception):
    """A body is not encoded as its headers say, or its encoding was not accepted."""


class _Counter:
    """Counts the bytes of a body, as it came or unpacked, against the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def count(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise BodyTooLargeError(self._limit)
        return piece


class _Inflater:
    """Gzip, unpacked in pieces of at most 64 KiB. What follows its end is padding."""

    def __init__(self, limit: int) -> None:
        self._counter = _Counter(limit)
        self._stream: Any = zlib.decompressobj(_GZIP)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the output of a chunk; at least once, so that the caller can pause between chunks."""
        stream = self._stream
        while True:
            try:
                piece = b"" if stream.eof else stream.decompress(data, _PIECE)
            except zlib.error as error:
                raise UnpackError("it is not packed as its Content-Encoding says") from error
            data = stream.unconsumed_tail
            yield self._counter.count(piece)
            if stream.eof or (not data and len(piece) < _PIECE):
                return

    def check_end(self) -> None:
        """Raise if the packed data is incomplete."""
        if not self._stream.eof:
            raise UnpackError("its packed data ends early")


def _inflater(encoding: str, limit: int) -> _Inflater | None:
    """Return what unpacks a body with this `Content-Encoding`; `None` where it is not packed (RFC 9110, 8.4)."""
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name not in {"gzip", "x-gzip"}:
        raise UnpackError(f"its Content-Encoding is not the one that is accepted ({ACCEPT_ENCODING})")
    return _Inflater(limit)


async def read_chunks(chunks: AsyncIterable[bytes], *, encoding: str, limit: int) -> bytes:
    """Read a body to its end and unpack it.

    Args:
        chunks: the body as it comes over the wire.
        encoding: the `Content-Encoding`, empty if there is none.
        limit: the largest size in bytes, packed and unpacked.

    Raises:
        BodyTooLargeError: it is larger.
        UnpackError: it cannot be unpacked.
    """
    inflater, counter = _inflater(encoding, limit), _Counter(limit)
    pieces: list[bytes] = []
    received = False
    done = steps = 0
    async for chunk in chunks:
        received = received or bool(chunk)
        if inflater is None:
            pieces.append(counter.count(chunk))
            continue
        for piece in inflater.feed(counter.count(chunk)):
            pieces.append(piece)
            done += len(piece)
            steps += 1
            if done >= _YIELD_AFTER or steps >= _YIELD_AFTER_STEPS:
                done = steps = 0
                await anyio.lowlevel.checkpoint()
    if received and inflater is not None:
        inflater.check_end()
    return b"".join(pieces)


async def read_body(response: Any, *, limit: int) -> bytes:
    """Read a response of httpx or httpx2 that may still be arriving; see `read_chunks`.

    A connection whose response is not read to its end is dropped.
    """
    if response.is_closed:  # a transport or a hook has read it
        return _Counter(limit).count(response.content)
    chunks = response.aiter_raw()
    try:
        return await read_chunks(chunks, encoding=response.headers.get("content-encoding", ""), limit=limit)
    finally:
        await response.aclose()
        await _exhaust(chunks)


async def _exhaust(chunks: AsyncGenerator[bytes, None]) -> None:
    """End the generators of a closed response, which would otherwise wait for the garbage collector."""
    with suppress(Exception):
        for _ in range(_MOST_LEFT_CHUNKS):
            await anext(chunks)


async def load(response: Any, http_library: ModuleType, *, limit: int) -> None:
    """Read a response of the user's own client, within the limit; then `response.content` has its body.

    Raises:
        BodyTooLargeError: see `read_chunks`.
        Exception: the library's `DecodingError` where it cannot be unpacked.
    """
    if response.is_closed:
        return
    headers = response.headers
    length = headers.get("content-length", "")
    is_short = length.isascii() and length.isdigit() and len(length) < 20 and int(length) <= min(limit, _SHORT)
    if is_short and "content-encoding" not in headers and "transfer-encoding" not in headers:
        await response.aread()  # as below, and 20 µs of a small call faster
        return
    try:
        body = await read_body(response, limit=limit)
    except UnpackError as error:
        raise http_library.DecodingError(str(error)) from error
    response.headers.pop("content-encoding", None)
    response.stream = http_library.ByteStream(body)
    response.is_closed = response.is_stream_consumed = False
    await response.aread()


def drop_stream(response: Any, http_library: ModuleType) -> None:
    """Remove the stream of a response that was read.

    In httpx, response and stream refer to each other: every body would stay in memory until a full garbage collection.
    """
    response.stream = http_library.ByteStream(b"")


def new_response(
    http_library: ModuleType, status: int, *, headers: Any, body: bytes, extensions: dict[str, Any], seconds: float
) -> Any:
    """Return a response of an HTTP library with a body that was read and unpacked.

    Args:
        http_library: httpx or httpx2.
        status: the HTTP status.
        headers: the headers as they came.
        body: the unpacked body.
        extensions: the library's extensions.
        seconds: how long it took.
    """
    response = http_library.Response(status, content=body, extensions=extensions)
    # Set afterwards: the library would unpack a body whose headers have a `Content-Encoding`.
    response.headers = http_library.Headers(headers)
    response.elapsed = timedelta(seconds=seconds)  # the library sets it when a stream closes
    return response


class BufferedResponse:
    """The parts of a response that the SDK uses, for requests without observers.

    Args:
        status_code: the HTTP status.
        headers: the headers as they came.
        content: the unpacked body.
    """

    __slots__ = ("content", "headers", "status_code")

    def __init__(self, status_code: int, *, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
        self.status_code: int = status_code
        self.headers: ResponseHeaders = ResponseHeaders(headers)
        self.content: bytes = content


class ResponseHeaders(Mapping[str, str]):
    """Headers that are parsed on first access: those of most responses are never read.

    Args:
        raw: the headers as they came.
    """

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    @cached_property
    def _by_name(self) -> dict[str, str]:
        by_name: dict[str, str] = {}
        for raw_name, raw_value in self._raw:
            name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
            by_name[name] = f"{by_name[name]}, {value}" if name in by_name else value
        return by_name

    def __getitem__(self, name: str) -> str:
        return self._by_name[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
