"""Pages of a list: their records read at once, in slices of a millisecond or two, or later, when they are needed.

A record is read by its type: a read model by msgspec, and by `misfits` what msgspec refuses; a type of the user's by
`targets`, exactly; `bytes` are the server's own JSON in one compact line of UTF-8, with nothing parsed or lost. A page
that is cut stays the server's JSON, which takes a third of the memory, until its records are needed.
"""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterator, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar

import msgspec
from attrs import frozen

from carecloud_async._base.codec.answers import REFUSED, structure, value_decoder
from carecloud_async._base.codec.field_warnings import FieldWarning
from carecloud_async._base.codec.fields import is_read_model, typed_cache
from carecloud_async._base.codec.gc_pause import gc_paused
from carecloud_async._base.codec.json_text import load, load_spelled, sound_text
from carecloud_async._base.codec.lists import body_then_sound, key_decoder, list_name, parse_total, split_page
from carecloud_async._base.codec.targets import read_raws, value_reader

__all__ = ["BATCH", "Page", "UnreadPage", "page", "page_slices", "read_records", "unread_page"]

T = TypeVar("T")
R = TypeVar("R")

#: The largest page of models (bytes) that `page_slices` decodes in one step, which takes 2 to 3 ms: slices would take a
#: sixth longer.
WHOLE_PAGE = 2**20
#: The largest page of models (bytes) that `unread_page` decodes in one step; it only cuts a larger one.
SMALL_PAGE = 128 * 1024
#: The records that are returned before other tasks run: a checkpoint costs as much as returning fifty.
BATCH = 250
#: The bytes of the records that are read at a time: some 400 objects. The garbage collector runs after 700; records
#: that the caller does not keep are freed before that, and a listing takes a fifth less time.
SLICE = 40 * 1024
#: How much of raw records is copied at a time, or checked for bad UTF-8: half a millisecond.
_RAW_SLICE = 2 << 20
#: How much of a body is checked for bad UTF-8 in one go: a piece that fits the processor's cache takes half the time.
_PIECE = 32 * 1024
#: How far into a body to search for the spaces of a server that writes `"a": 1` instead of `"a":1`.
_HEAD = 4096
#: A record with misfits (values that msgspec refuses) takes as long to read as this many exact ones.
_MISFIT_COST = 3


@frozen(kw_only=True, repr=False)
class Page(Generic[T]):
    """A page of a list.

    Attributes:
        items: the records, in the server's order.
        offset: the position of its first record in the list.
        total_items: the length of the list as the server reports it; `None` if it does not.
        received: the number of entries that the server sent; null entries are not among `items`.
    """

    items: list[T]
    offset: int = 0
    total_items: int | None
    received: int

    def __repr__(self) -> str:
        return f"Page({len(self.items)} items, offset={self.offset}, total_items={self.total_items})"

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def batches(self) -> Iterator[list[T]]:
        """Return the records in batches, between which other tasks can run."""
        return (self.items[start : start + BATCH] for start in range(0, len(self.items), BATCH))


class ReadHistory:
    """The history of the last records of a type.

    Attributes:
        has_misfits: whether the last page held a record with misfits; the next one then most likely does.
    """

    def __init__(self) -> None:
        self.has_misfits = False


@typed_cache
def history_of(into: Any) -> ReadHistory:
    """Return the history of a type."""
    del into  # each has its own
    return ReadHistory()


class UnreadPage(Generic[T]):
    """A page of a list whose records are read as they are returned; a null is skipped, except among `bytes`.

    Args:
        raws: the JSON of each entry.
        into: the type of a record.
        size: the bytes of the page.
        offset: see `Page`.
        total_items: see `Page`.
        slice_size: the bytes of the records of a model that `read` takes at a time.

    Attributes:
        offset, total_items, received: see `Page`.

    Raises:
        ConfigurationError: nothing can be read into the type.
    """

    __slots__ = (
        "_ahead",
        "_history",
        "_into",
        "_misfits",
        "_position",
        "_raws",
        "_step",
        "offset",
        "received",
        "total_items",
    )

    def __init__(
        self,
        raws: Sequence[bytes | msgspec.Raw],
        into: type[T],
        *,
        size: int,
        offset: int = 0,
        total_items: int | None = None,
        slice_size: int = SLICE,
    ) -> None:
        self.offset: int = offset
        self.total_items: int | None = total_items
        self.received: int = len(raws)
        self._into: type[T] = into
        record_size = size // max(len(raws), 1) + 1  # the mean, in bytes
        self._step = (_RAW_SLICE if into is bytes else slice_size) // record_size + 1
        self._raws = raws if into is bytes else _without_nulls(raws, into)
        self._history = history_of(into)
        self._position = 0
        self._misfits = 0
        self._ahead: list[T] = []

    def __repr__(self) -> str:
        return f"UnreadPage(received={self.received}, offset={self.offset}, total_items={self.total_items})"

    def __len__(self) -> int:
        """Return the number of records not yet returned."""
        return len(self._raws) - self._position + len(self._ahead)

    def batches(self) -> Iterator[list[T]]:
        """Return the records in batches; one that cannot be read raises `Malformed` each time it is asked for."""
        return iter(self._batch, [])

    def _batch(self) -> list[T]:
        if not self._ahead:
            self._ahead = self.read()
        batch = self._ahead[:BATCH]
        del self._ahead[:BATCH]
        return batch

    @gc_paused
    def read(self) -> list[T]:
        """Read the next records, a slice or less; none if all are read. An error does not consume them.

        Raises:
            Malformed: a record cannot be read, which has not been seen with read models and records of the API.
        """
        raws = self._raws[self._position : self._position + self._step]
        items, misfits = _read(raws, self._into)
        self._position += len(items)
        self._misfits += misfits
        if self._position == len(self._raws):
            self._history.has_misfits = self._misfits > 0
        return items

    def keys(self, name: str | None) -> Iterator[Any]:
        """Return the identities of the records not read yet: the field of that name, or the whole content.

        Args:
            name: the id field; `None` for records without one.
        """
        decode = None if name is None else key_decoder(name).decode
        for raw in self._raws[self._position :]:
            key: str | int | None = None
            if decode is not None:
                try:
                    key = decode(raw).key
                except REFUSED:
                    key = None
            # As the text that a model would have: decoded pages use that as the identity.
            yield bytes(raw) if key is None or key == "" else str(key)


@gc_paused
def page(body: bytes, *, key: str | None, into: type[T], offset: int = 0) -> Page[T]:
    """Decode one page of a list at once, as `page_slices` does."""
    slices = page_slices(body, key=key, into=into, offset=offset)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: Page[T] = end.value
            return result


def page_slices(
    body: bytes,
    *,
    key: str | None,
    into: type[T],
    offset: int = 0,
    whole_page: int = WHOLE_PAGE,
    slice_size: int = SLICE,
) -> Generator[None, None, Page[T]]:
    """Decode one page of a list, in slices of a millisecond or two; `CooperativeScheduler` runs tasks in between.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`; `None` for the one list there.
        into: the type of a record: a read model, `bytes`, or any type that `request(into=…)` takes. Bytes keep unknown
            fields, the order of fields and the spelling of numbers; bad UTF-8 and lone surrogates become U+FFFD, and a
            page with NaN and the like is read and written again, with the same numbers.
        offset: where the page begins; see `list_of`.
        whole_page: the largest page of models (bytes) that is decoded in one step.
        slice_size: see `UnreadPage`.

    Yields:
        None: at the end of each slice but the last.

    Raises:
        Malformed: the body is no JSON object, has no `data`, the list is missing, or a record does not fit.
        ConfigurationError: nothing can be read into the type.
    """
    if into is bytes:
        body = yield from _compact(body.strip())
    elif not is_read_model(into):
        value_reader(into)  # refuses a type that nothing can be read into, before the body is judged
    elif key is not None and len(body) <= whole_page and not history_of(into).has_misfits:
        found = _whole(body, key, into, offset)
        if found is not None:
            return found
        yield
    unread = _cut(body, key, into, offset, slice_size)
    items = unread.read()
    while len(unread):
        yield
        items += unread.read()
    return Page(items=items, offset=offset, total_items=unread.total_items, received=unread.received)


def unread_page(
    body: bytes,
    *,
    key: str,
    into: type[T],
    offset: int = 0,
    small_page: int = SMALL_PAGE,
    slice_size: int = SLICE,
) -> Page[T] | UnreadPage[T]:
    """Decode one page of models; the records of a large page, or one with misfits, are decoded later.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`.
        into: the read model of a record.
        offset: where the page begins; see `list_of`.
        small_page: the largest page (bytes) that is decoded in one step.
        slice_size: see `UnreadPage`.

    Raises:
        Malformed: as `page_slices` does; the body is then valid JSON.
    """
    found = _whole(body, key, into, offset) if len(body) <= small_page and not history_of(into).has_misfits else None
    return _cut(body, key, into, offset, slice_size) if found is None else found


def read_records(lines: Sequence[bytes], into: type[T]) -> list[T]:
    """Read records of a list, none of them null, as its pages are read.

    Args:
        lines: the JSON of each.
        into: the type of a record.

    Raises:
        Malformed: a record does not fit.
    """
    unread: UnreadPage[T] = UnreadPage(lines, into, size=sum(map(len, lines)))
    return list(chain.from_iterable(iter(unread.read, [])))


def _cut(body: bytes, key: str | None, into: type[T], offset: int, slice_size: int) -> UnreadPage[T]:
    """Split a page into its records."""
    found = split_page(body, list_name(body) if key is None else key, offset=offset)
    total = parse_total(found.total)
    return UnreadPage(found.records, into, size=len(body), offset=offset, total_items=total, slice_size=slice_size)


@gc_paused
def _whole(body: bytes, key: str, into: type[T], offset: int) -> Page[T] | None:
    """Decode a page at once; `None` if msgspec refuses it."""
    decoder = _page_decoder(into, key)
    if decoder is None:
        return None
    try:
        found = decoder.decode(body).data
    except REFUSED:
        return None
    items, total = found.items, parse_total(found.total_items)
    return Page(items=items, offset=offset, total_items=total, received=len(items))


@typed_cache
def _page_decoder(into: Any, key: str) -> msgspec.json.Decoder[Any] | None:
    """Return the decoder of `{"data": {key: [into, …], "total_items": …}}`, or `None` for a type unknown to msgspec."""
    if value_decoder(into) is None:
        return None
    listing = msgspec.defstruct(
        "PageData",
        [("items", list[into]), ("total_items", Any, None)],
        rename={"items": key},
        gc=False,
    )
    return msgspec.json.Decoder(msgspec.defstruct("PageEnvelope", [("data", listing)], gc=False))


def _read(raws: Sequence[bytes | msgspec.Raw], into: type[T]) -> tuple[list[T], int]:
    """Read records, fewer if some have misfits; return these and the number of misfits."""
    if into is bytes:
        lines: list[Any] = [bytes(raw) for raw in raws]
        return lines, 0
    if not is_read_model(into):
        return read_raws(raws, into), 0
    decoder = value_decoder(into)
    items: list[T] = []
    # Continues after a record that was refused.
    reading = map(_refuse if decoder is None else decoder.decode, raws)
    misfits = 0
    while len(items) < len(raws) - misfits * _MISFIT_COST:
        if not _extend(items, reading):
            items.append(structure(load(raws[len(items)]), into))
            misfits += 1
    return items, misfits


def _extend(items: list[T], reading: Iterator[T]) -> bool:
    """Append the records up to one that is refused; return whether none was."""
    try:
        items.extend(reading)
    except REFUSED:
        return False
    return True


def _refuse(_raw: bytes | msgspec.Raw) -> Any:
    """Stand in for the decoder of a type that msgspec cannot read correctly."""
    raise ValueError


def _without_nulls(raws: Sequence[bytes | msgspec.Raw], into: type[Any]) -> Sequence[bytes | msgspec.Raw]:
    if not raws:
        return raws
    null = type(raws[0])(b"null")
    if null not in raws:
        return raws
    FieldWarning(getattr(into, "__name__", str(into)), "record").note("null in place of a record, left out")
    return [raw for raw in raws if raw != null]


def _compact(body: bytes) -> Generator[None, None, bytes]:
    """Return a body whose text is valid and has no blanks between its tokens."""
    is_utf8 = yield from _check_utf8(body)
    if not is_utf8:
        body = sound_text(body)
    return _without_blanks(body) if _has_blanks(body) else body


def _check_utf8(body: bytes) -> Generator[None, None, bool]:
    if body.isascii():
        return True
    view, size, at = memoryview(body), len(body), 0
    try:
        while at < size:
            end = min(at + _RAW_SLICE, size)
            while at < end:
                # A character that is split between two pieces is left to the next one.
                at += codecs.utf_8_decode(view[at : at + _PIECE], "strict", at + _PIECE >= size)[1]
            if size > _RAW_SLICE:
                yield
    except UnicodeDecodeError:
        return False
    return True


def _without_blanks(body: bytes) -> bytes:
    for sound in body_then_sound(body):
        try:
            return msgspec.json.format(sound, indent=-1)
        except REFUSED:
            continue
    return msgspec.json.encode(load_spelled(body))


def _has_blanks(body: bytes) -> bool:
    if b"\n" in body or b"\r" in body:
        return True
    head = body[:_HEAD]
    return any(blank in head for blank in (b'": ', b'" :', b', "', b'{ "', b"[ {"))
