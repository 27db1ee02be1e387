"""Where an export's pages come from: raw records with their ids, requests counted, the server's clock read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from attrs import frozen

from carecloud_async import codec
from carecloud_async.calls.wire import server_date
from carecloud_async.export.reading.query import Query

__all__ = ["RawPage", "Source"]


@frozen(kw_only=True)
class RawPage:
    """A page as an export sees it.

    Attributes:
        offset: where in the list it was asked for.
        lines: the records, one line of JSON each.
        ids: the identity of each: the value of the id field; the line itself where a record has none.
        received: how many entries the server sent; more than `lines` where some were null.
        total: how long the list is, as the server says.
    """

    offset: int
    lines: list[bytes]
    ids: list[Any]
    received: int
    total: int | None


class Source:
    """Fetches the pages of one list.

    Args:
        query: the list.

    Attributes:
        requests: how many pages were asked for.
        retries: how many of these requests had to be sent again.
        began: when the server answered first, by its own clock (by ours if it has none), less the time of the answer
            and a second.
    """

    def __init__(self, query: Query) -> None:
        self._query = query
        self._clock = query.caller.context.clock
        self._decoder = id_decoder(query.operation.id_field)
        self.requests = 0
        self.retries = 0
        self.began: datetime | None = None

    async def fetch(self, offset: int, count: int, params: Mapping[str, Any]) -> RawPage:
        """Get one page.

        Args:
            offset: where it begins.
            count: how many records to ask for.
            params: sort, in place of the query's own.

        Raises:
            CareCloudError: see `Caller.call`.
        """
        query = self._query
        asked = {**query.params, **params}
        if query.operation.paged:
            asked |= {"count": count, "offset": offset}
        self.requests += 1
        sent = self._clock.monotonic()
        response = await query.caller.exchange(
            query.operation, path_params=query.path_params, params=asked, json=query.json
        )
        self.retries += response.attempts - 1
        if self.began is None:
            self._note_time(server_date(response.headers), sent)
        try:
            found = codec.raw_page(response.body, key=query.key)
        except codec.Malformed as error:
            problem = str(error)
        else:
            lines = [line for line in found.items if line != b"null"]
            return RawPage(
                offset=offset,
                lines=lines,
                ids=self._ids(lines),
                received=found.received,
                total=found.total_items,
            )
        raise query.caller.invalid_response(query.operation, problem, status=response.status)

    def _note_time(self, date: datetime | None, sent: float) -> None:
        # `Date` was written after the list was read: what changed in between must not fall behind the mark.
        now = date or datetime.fromtimestamp(self._clock.time(), UTC)
        self.began = now - timedelta(seconds=max(self._clock.monotonic() - sent, 0) + 1)

    def _ids(self, lines: list[bytes]) -> list[Any]:
        if self._decoder is None:
            return list(lines)
        return [identity(self._decoder, line) for line in lines]


def id_decoder(name: str | None) -> msgspec.json.Decoder[Any] | None:
    """Return a decoder that reads one field of a record as `.id` and skips the rest; `None` for no field."""
    if name is None:
        return None
    fields: list[Any] = [("id", Any, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Identity", fields, rename={"id": name}, gc=False))


def identity(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    """Return what tells a record from others."""
    try:
        found = decoder.decode(line).id
    except (ValueError, RecursionError):
        return line
    return found if isinstance(found, str) or type(found) is int else line
