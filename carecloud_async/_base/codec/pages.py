"""Pages of a list: their records read at once, in slices of a millisecond or two, or later, when they are needed.

A record is read by its type: a read model by msgspec, and by `misfits` what msgspec refuses; a type of the user's
exactly; `bytes` are the server's own JSON in one compact line of UTF-8, with nothing parsed or lost. A page that is
split stays the server's JSON, which takes a third of the memory, until its records are needed.
"""

from __future__ import annotations

import codecs
import functools
import gc
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar

import msgspec
from attrs import frozen

from carecloud_async._base.codec.answers import (
    data_of,
    list_of,
    mend,
    only_list,
    parse_total,
    read_raws,
    value_decoder,
    value_reader,
)
from carecloud_async._base.codec.fields import FieldWarning, is_read_model, typed_cache
from carecloud_async._base.codec.json_text import REFUSED, body_then_sound, load, load_spelled, sound_text

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")
#: The JSON of each record of a page.
Raws: TypeAlias = Sequence[bytes | msgspec.Raw]

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
#: How much of raw records is copied at a time: half a millisecond.
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


#: The types whose last page held records with misfits; the next page then most likely does.
_untidy: set[Any] = set()
#: Whether a thread is decoding with the collector paused; a child forked at that moment must enable it again.
_paused = False


def gc_paused(function: Callable[P, R]) -> Callable[P, R]:
    """Run a short function that only builds values, with the collector paused; a disabled collector stays disabled.

    A page of a thousand customers is six thousand new objects. Python's collector would interrupt their decoding eight
    times to search for reference cycles, find none, and promote the decoded ones to an older generation, so that its
    slow full runs come ten times as often. That was a third of the time of a listing.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if not gc.isenabled():
            return function(*args, **kwargs)
        global _paused
        gc.disable()
        _paused = True
        try:
            return function(*args, **kwargs)
        finally:
            _paused = False
            gc.enable()

    return run


def _resume_in_child() -> None:
    if _paused:
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_resume_in_child)


class UnreadPage(Generic[T]):
    """A page of a list whose records are read as they are returned; a null is skipped, except among `bytes`.

    Args:
        raws: the JSON of each entry.
        into: the type of a record.
        size: the bytes of the page.
        offset: see `Page`.
        total_items: see `Page`.

    Attributes:
        offset, total_items, received: see `Page`.

    Raises:
        ConfigurationError: nothing can be read into the type.
    """

    __slots__ = ("_ahead", "_into", "_misfits", "_position", "_raws", "_step", "offset", "received", "total_items")

    def __init__(
        self,
        raws: Raws,
        into: type[T],
        *,
        size: int,
        offset: int = 0,
        total_items: int | None = None,
    ) -> None:
        self.offset: int = offset
        self.total_items: int | None = total_items
        self.received: int = len(raws)
        self._into: type[T] = into
        record_size = size // max(len(raws), 1) + 1  # the mean, in bytes
        self._step = (_RAW_SLICE if into is bytes else SLICE) // record_size + 1
        self._raws = raws if into is bytes else _without_nulls(raws, into)
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
            (_untidy.add if self._misfits else _untidy.discard)(self._into)
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


#: A page whose records were read when it arrived, or are read when they are returned.
AnyPage: TypeAlias = Page[T] | UnreadPage[T]


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


def page_slices(body: bytes, *, key: str | None, into: type[T], offset: int = 0) -> Generator[None, None, Page[T]]:
    """Decode one page of a list, in slices of a millisecond or two; `CooperativeScheduler` runs tasks in between.

    The arguments and errors are those of `unread_page`.

    Yields:
        None: at the end of each slice but the last.
    """
    unread = unread_page(body, key=key, into=into, offset=offset, at_once=WHOLE_PAGE)
    if isinstance(unread, Page):
        return unread
    items = unread.read()
    while len(unread):
        yield
        items += unread.read()
    return Page(items=items, offset=offset, total_items=unread.total_items, received=unread.received)


def unread_page(
    body: bytes, *, key: str | None, into: type[T], offset: int = 0, at_once: int = SMALL_PAGE
) -> AnyPage[T]:
    """Split one page of a list, whose records are decoded later; decode a small page of exact models at once.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`; `None` for the one list there.
        into: the type of a record: a read model, `bytes`, or any type that `request(into=…)` takes. Bytes keep unknown
            fields, the order of fields and the spelling of numbers; bad UTF-8 and lone surrogates become U+FFFD, and a
            page with NaN and the like is read and written again, with the same numbers.
        offset: where the page begins; see `list_of`.
        at_once: the largest page of models (bytes) that is decoded in one step.

    Raises:
        Malformed: the body is no JSON object, has no `data`, the list is missing, or a record does not fit.
        ConfigurationError: nothing can be read into the type.
    """
    if into is bytes:
        body = _compact(body.strip())
    elif not is_read_model(into):
        value_reader(into)  # refuses a type that nothing can be read into, before the body is judged
    elif key is not None and len(body) <= at_once and into not in _untidy:
        whole = _whole(body, key, into, offset)
        if whole is not None:
            return whole
    raws, total = split_page(body, key, offset=offset)
    return UnreadPage(raws, into, size=len(body), offset=offset, total_items=total)


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


def split_page(body: bytes, key: str | None, *, offset: int = 0) -> tuple[Raws, int | None]:
    """Split a page into its records without parsing them, and return these with the total; see `unread_page`.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or the list is missing.
    """
    for sound in body_then_sound(body):
        try:
            name = _only_list_name(sound) if key is None else key
            listing = None if name is None else _page_decoder(name, msgspec.Raw).decode(sound).data
        except REFUSED:
            continue
        if listing is not None:
            return listing.items, parse_total(listing.total_items)
        break
    value = data_of(load_spelled(body))
    entries = list_of(value, only_list(value) if key is None else key, offset=offset)
    total = value.get("total_items") if isinstance(value, dict) else None
    return [msgspec.json.encode(item) for item in entries], parse_total(total)


def _only_list_name(body: bytes) -> str | None:
    members: dict[str, msgspec.Raw] = _members_decoder().decode(body).data
    lists = [name for name, raw in members.items() if bytes(memoryview(raw)[:1]) == b"["]
    return lists[0] if len(lists) == 1 else None


@typed_cache
def _members_decoder() -> msgspec.json.Decoder[Any]:
    """Return the decoder of `{"data": {name: anything, …}}` that returns each value as unparsed JSON."""
    envelope = msgspec.defstruct("MembersEnvelope", [("data", dict[str, msgspec.Raw])], gc=False)
    return msgspec.json.Decoder(envelope)


@typed_cache
def key_decoder(name: str) -> msgspec.json.Decoder[Any]:
    """Return the decoder of an object's text or number of that name, as `key`; `None` if it is missing."""
    fields: list[Any] = [("key", str | int | None, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Keyed", fields, rename={"key": name}, gc=False))


@typed_cache
def _page_decoder(key: str, into: Any) -> msgspec.json.Decoder[Any]:
    """Return the decoder of `{"data": {key: [into, …], "total_items": …}}`."""
    fields: list[Any] = [("items", list[into]), ("total_items", Any, None)]
    listing = msgspec.defstruct("PageData", fields, rename={"items": key}, gc=False)
    return msgspec.json.Decoder(msgspec.defstruct("PageEnvelope", [("data", listing)], gc=False))


@gc_paused
def _whole(body: bytes, key: str, into: type[T], offset: int) -> Page[T] | None:
    """Decode a page at once; `None` if msgspec refuses it."""
    if value_decoder(into) is None:
        return None
    try:
        listing = _page_decoder(key, into).decode(body).data
    except REFUSED:
        return None
    items, total = listing.items, parse_total(listing.total_items)
    return Page(items=items, offset=offset, total_items=total, received=len(items))


def _read(raws: Raws, into: type[T]) -> tuple[list[T], int]:
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
        problem = _extend(items, reading)
        if problem is not None:
            items.append(mend(load(raws[len(items)]), into, problem=problem))
            misfits += 1
    return items, misfits


def _extend(items: list[T], reading: Iterator[T]) -> str | None:
    """Append the records up to one that is refused; return why it was, or `None`."""
    try:
        items.extend(reading)
    except REFUSED as error:
        return str(error)  # not the error itself: its traceback would keep the page
    return None


def _refuse(_raw: bytes | msgspec.Raw) -> Any:
    """Stand in for the decoder of a type that msgspec cannot read correctly."""
    raise ValueError


def _without_nulls(raws: Raws, into: type[Any]) -> Raws:
    if not raws:
        return raws
    null = type(raws[0])(b"null")
    if null not in raws:
        return raws
    FieldWarning(getattr(into, "__name__", str(into)), "record").note("null in place of a record, left out")
    return [raw for raw in raws if raw != null]


def _compact(body: bytes) -> bytes:
    """Return a body whose text is valid and has no blanks between its tokens."""
    if not _is_utf8(body):
        body = sound_text(body)
    return _without_blanks(body) if _has_blanks(body) else body


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    view, size, at = memoryview(body), len(body), 0
    try:
        while at < size:
            # A character that is split between two pieces is left to the next one.
            at += codecs.utf_8_decode(view[at : at + _PIECE], "strict", at + _PIECE >= size)[1]
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
