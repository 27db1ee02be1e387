"""A listing as a stream of NDJSON: one record a line, a page in memory at a time, the records unparsed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from carecloud_async._lists.listings.listing import Listing
from carecloud_async.errors import CareCloudError
from carecloud_async.fastapi.disconnect import listening

#: Records are sent in pieces of about this many bytes: sending them one by one would cost more than fetching them.
PIECE_BYTES = 16_384


class StreamBrokenError(Exception):
    """A listing failed after a part was sent: the connection is cut, so that the client sees that it is incomplete."""


class NdjsonResponse(StreamingResponse):
    """A response that streams a listing; see `ndjson`. As a `response_class` it sets the media type in the OpenAPI."""

    media_type = "application/x-ndjson"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. A failure before the first piece becomes an error response, not a broken stream."""
        async with listening(scope, receive) as hang_up, aclosing(_pieces(self.body_iterator)) as pieces:
            async with hang_up.cancels():
                first = await anext(pieces, b"")
            self.body_iterator: Any = _rest(first, pieces)
            await super().__call__(scope, hang_up.receive, send)


def ndjson(listing: Listing[Any], *, headers: Mapping[str, str] | None = None) -> NdjsonResponse:
    r"""Answer with a listing as NDJSON, each record on a line as the API sent it, unknown fields included.

    An error before the first record becomes an ordinary error answer. Later the status has been sent: the connection is
    cut, so that the client sees an incomplete answer, and the error is logged. A client that hangs up ends the listing.

    Args:
        listing: such as `carecloud.customers.list(last_name="Smith", count=1000)`.
        headers: further headers, such as a `Content-Disposition` for a download.
    """
    return NdjsonResponse(listing.raw(), headers=headers)


async def _pieces(records: Any) -> AsyncGenerator[bytes, None]:
    buffer = bytearray()
    async for record in records:
        buffer += record
        buffer += b"\n"
        if len(buffer) >= PIECE_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


async def _rest(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    yield first
    try:
        async for piece in pieces:
            yield piece
    except CareCloudError as error:
        raise StreamBrokenError("the listing broke off") from error
