"""`UnreadRecords`: the records of a page as unparsed JSON, decoded a few at a time when they are needed.

A page stays the server's JSON, which takes a third of the memory, until its records are needed. Decoding some of them
takes a millisecond or two, so that other tasks can run in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from attrs import define

from carecloud_async._base.codec.envelope import key_decoder, value_decoder
from carecloud_async._base.codec.gc_pause import gc_paused
from carecloud_async._base.codec.read import REFUSED
from carecloud_async._base.codec.tolerant.warnings import FieldWarning
from carecloud_async._base.codec.typed_cache import typed_cache

__all__ = ["BATCH", "SLICE", "UnreadRecords", "history_of"]

T = TypeVar("T")

#: The cost of a record with misfits, as a number of exact ones.
_MISFIT_COST = 4

#: The records that are returned before other tasks run: a checkpoint costs as much as returning fifty.
BATCH = 250
#: The bytes of the records that are read at a time: some 400 objects. The garbage collector runs after 700; records
#: that the caller does not keep are freed before that, and a listing takes a fifth less time.
SLICE = 40 * 1024


@define
class ReadHistory:
    """The history of the last records of a type.

    Attributes:
        has_misfits: whether the last page held a record with misfits; the next one then most likely does.
    """

    has_misfits: bool = False


@typed_cache
def history_of(into: Any) -> ReadHistory:
    """Return the history of a type."""
    del into  # each has its own
    return ReadHistory()


class UnreadRecords(Generic[T]):
    """The records of one page; a null instead of a record is skipped.

    Args:
        raws: the JSON of each record.
        into: the model class of a record.
        size: the bytes of the page.
    """

    __slots__ = ("_ahead", "_decoder", "_history", "_into", "_misfits", "_position", "_raws", "_record_size")

    def __init__(self, raws: Sequence[bytes | msgspec.Raw], into: type[T], *, size: int) -> None:
        self._record_size = size // max(len(raws), 1) + 1  # the mean, in bytes
        self._raws = _without_nulls(raws, into)
        self._into = into
        self._decoder = value_decoder(into)
        self._history = history_of(into)
        self._position = 0
        self._misfits = 0
        self._ahead: list[T] = []

    def __len__(self) -> int:
        """Return the number of records not yet returned."""
        return len(self._raws) - self._position + len(self._ahead)

    def batch(self) -> list[T]:
        """Return the next records, at most `BATCH`; none if there are no more.

        Raises:
            Malformed: as `read` does.
        """
        if not self._ahead:
            self._ahead = self.read()
        batch = self._ahead[:BATCH]
        del self._ahead[:BATCH]
        return batch

    @gc_paused
    def read(self) -> list[T]:
        """Read the next records, `SLICE` bytes or fewer; none if all are read. An error does not consume them.

        Raises:
            Malformed: a record cannot be read, which has not been seen with records of the API.
        """
        raws = self._raws[self._position : self._position + SLICE // self._record_size + 1]
        items: list[T] = []
        # Continues after a record that was refused.
        reading = map(_refuse if self._decoder is None else self._decoder.decode, raws)
        misfits = 0
        while len(items) < len(raws) - misfits * _MISFIT_COST:
            problem = _extend(items, reading)
            if problem is not None:
                items.append(_misfit_reader()(raws[len(items)], self._into, problem=problem))
                misfits += 1
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


def _extend(items: list[T], reading: Iterator[T]) -> str | None:
    """Append the records up to one that is refused; return the reason, or `None`."""
    try:
        items.extend(reading)
    except REFUSED as error:
        return str(error)  # not the error itself: its traceback would keep the page
    return None


def _refuse(_raw: bytes | msgspec.Raw) -> Any:
    """Stand in for the decoder of a type that msgspec cannot read correctly."""
    raise ValueError


def _without_nulls(raws: Sequence[bytes | msgspec.Raw], into: type[Any]) -> Sequence[bytes | msgspec.Raw]:
    if not raws:
        return raws
    null = type(raws[0])(b"null")
    if null not in raws:
        return raws
    FieldWarning(into.__name__, "record").note("null in place of a record, left out")
    return [raw for raw in raws if raw != null]


@typed_cache
def _misfit_reader() -> Callable[..., Any]:
    from carecloud_async._base.codec.tolerant.mended import read_record  # cattrs takes 14 ms to import: at first need

    return read_record
