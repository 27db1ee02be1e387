"""Pages into models, in slices: a small page in one decode, a large or untidy one record by record.

Three tiers, each only for what the one before refused: (1) one decode of the whole page; (2) record by record, mending
the untidy ones; (3) JSON that is damaged, repaired and then as in (2).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from carecloud_async.codec.envelope import page_decoder, value_decoder
from carecloud_async.codec.gc_pause import gc_paused
from carecloud_async.codec.read import REFUSED, DecodedPage, cut, total
from carecloud_async.codec.repair import load
from carecloud_async.codec.typed_cache import typed_cache
from carecloud_async.codec.warnings import FieldWarning

__all__ = ["page", "page_slices"]

T = TypeVar("T")
R = TypeVar("R")

#: The largest page, in bytes, that is decoded at once, in two or three milliseconds: cutting it first costs a sixth.
WHOLE_PAGE = 2**20
#: The bytes of the records that are decoded in one slice.
SLICE = 400 * 1024
#: The cost of an untidy record, in tidy ones.
_UNTIDY_COST = 4


@gc_paused
def page(body: bytes, *, key: str, into: type[T]) -> DecodedPage[T]:
    """Decode one page of a list operation.

    Args:
        body: the whole body of an answer.
        key: the name of the list under `data`.
        into: the model class of a record.

    Raises:
        Malformed: the body is no JSON object, has no `data`, or the list is missing.
    """
    return exhaust(page_slices(body, key=key, into=into))


def page_slices(body: bytes, *, key: str, into: type[T]) -> Generator[None, None, DecodedPage[T]]:
    """Decode one page of a list operation as `page` does, in slices of a millisecond or two.

    Yields:
        None: at the end of each slice but the last.
    """
    reader: _RecordReader[T] = _record_reader(into)
    decoder = page_decoder(into, key)
    if decoder is not None and len(body) <= WHOLE_PAGE and not reader.was_untidy:
        found = _whole(body, decoder)
        if found is not None:
            return found
        yield
    raws, total_items = cut(body, key)
    size = len(raws) * SLICE // max(len(body), 1) + 1
    items: list[T] = []
    position, reader.was_untidy = 0, False
    while position < len(raws):
        if position or len(body) > SLICE:
            yield
        position = reader.read(raws, position, size, items)
    return DecodedPage(items=items, total_items=total(total_items), received=len(raws))


def exhaust(slices: Generator[object, None, R]) -> R:
    """Run a computation in slices at once, and return the value that its generator returns."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: R = end.value
            return result


@gc_paused
def _whole(body: bytes, decoder: msgspec.json.Decoder[Any]) -> DecodedPage[Any] | None:
    """Decode a tidy page at once; `None` if it is not tidy."""
    try:
        found = decoder.decode(body).data
    except REFUSED:
        return None
    return DecodedPage(items=found.items, total_items=total(found.total_items), received=len(found.items))


class _RecordReader(Generic[T]):
    """Reads the records of a page that were cut out of it.

    Args:
        into: the model class of a record.

    Attributes:
        was_untidy: whether the last page held an untidy record; the next one then most likely does, and need not be
            tried as a whole.
    """

    def __init__(self, into: type[T]) -> None:
        self._into = into
        self._decoder = value_decoder(into)
        self.was_untidy = False

    @gc_paused
    def read(self, raws: Sequence[bytes | msgspec.Raw], position: int, size: int, items: list[T]) -> int:
        """Read records from a position on into a list, and return the position of the next.

        Args:
            raws: the JSON of all records.
            position: where to begin.
            size: the number of tidy records that may be read.
            items: takes the records.
        """
        decode = None if self._decoder is None else self._decoder.decode
        done = untidy = 0
        for raw in raws[position : position + size]:
            done += 1
            problem = ""
            if decode is not None:
                try:
                    items.append(decode(raw))
                    continue
                except REFUSED as error:
                    problem = str(error)  # not the error itself: its traceback would keep the page
            self._append_untidy(raw, problem, items)
            untidy += 1
            if done + untidy * _UNTIDY_COST >= size:
                break
        self.was_untidy = self.was_untidy or untidy > 0
        return position + done

    def _append_untidy(self, raw: bytes | msgspec.Raw, problem: str, items: list[T]) -> None:
        value = load(raw)
        if value is None:
            FieldWarning(self._into.__name__, "record").note("null in place of a record, left out")
        else:
            items.append(_structure(value, self._into, problem=problem))


def _structure(value: Any, into: Any, *, problem: str) -> Any:
    from carecloud_async.codec.mending import structure_untidy  # cattrs takes 14 ms to import: at first need

    return structure_untidy(value, into, problem=problem)


@typed_cache
def _record_reader(into: Any) -> _RecordReader[Any]:
    return _RecordReader(into)
