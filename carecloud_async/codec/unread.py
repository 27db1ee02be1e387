"""`UnreadRecords`: the records of a page that were cut out of it, and are read a few at a time when they are wanted.

Records that are read while their reader waits are in the processor's cache when they are handed out, and gone before
the garbage collector comes to look at them: a page of a thousand takes a fifth less time than as a whole. Until then it
is what the server sent, a third of the memory.

If the caller keeps the records, small batches would trigger the garbage collector more often; larger batches are
decoded then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar
from weakref import ref

import msgspec
from attrs import define

from carecloud_async.codec.envelope import key_decoder, value_decoder
from carecloud_async.codec.gc_pause import gc_paused
from carecloud_async.codec.read import REFUSED
from carecloud_async.codec.tolerant.warnings import FieldWarning
from carecloud_async.codec.typed_cache import typed_cache

__all__ = ["BATCH", "UnreadRecords", "history_of"]

T = TypeVar("T")

#: The cost of a record with misfits, in exact ones.
_MISFIT_COST = 4

#: The records that are handed out before other tasks run: a checkpoint costs as much as handing out fifty.
BATCH = 250
#: The bytes of the records that are read at a time: some 400 objects; the garbage collector runs after 700.
_FEW = 40 * 1024
#: Those for a reader who keeps the records: three milliseconds.
_MANY = 2**20


def _gone() -> None:
    """Stand for a reference to a record that is gone."""


@define
class ReadHistory:
    """What the last records of a type were like, and what became of them.

    Attributes:
        has_misfits: whether the last page held a record with misfits; the next one then most likely does.
        last: the first record of the last batch that was handed out, while it is kept.
    """

    has_misfits: bool = False
    last: Callable[[], object] = _gone


@typed_cache
def history_of(into: Any) -> ReadHistory:
    """Return what the last records of a type were like."""
    del into  # each has its own
    return ReadHistory()


class UnreadRecords(Generic[T]):
    """The records of one page; null in place of a record is left out.

    Args:
        raws: the JSON of each record.
        into: the model class of a record.
        size: the bytes of the page.
    """

    __slots__ = ("_ahead", "_decoder", "_each", "_history", "_into", "_misfits", "_position", "_raws")

    def __init__(self, raws: Sequence[bytes | msgspec.Raw], into: type[T], *, size: int) -> None:
        self._each = size // max(len(raws), 1) + 1
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
        """Return the records to be handed out next, at most `BATCH`; none if there are no more.

        Raises:
            Malformed: as `read` does.
        """
        history = self._history
        if not self._ahead:
            kept = history.last() is not None
            self._ahead = self.read(_MANY) if kept else self.read(_FEW, most=BATCH)
        batch = self._ahead[:BATCH]
        del self._ahead[:BATCH]
        # The last one of a batch is most often still in the reader's hands when the next one is wanted.
        history.last = ref(batch[0]) if len(batch) > 1 else _gone
        return batch

    @gc_paused
    def read(self, size: int, *, most: int = sys.maxsize) -> list[T]:
        """Read the next few records; none if all are read. An error leaves them as they are.

        Args:
            size: how many bytes of exact records to read; with misfits among them it is less.
            most: how many records to read at most.

        Raises:
            Malformed: a record cannot be read, which is no fault that any record of the API ever had.
        """
        raws = self._raws[self._position : self._position + min(size // self._each + 1, most)]
        items: list[T] = []
        # Goes on after a record that it has refused.
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
        """Return what the records that are not read are told apart by: the field of that name, or else all they hold.

        Args:
            name: the field; `None` where none names a record.
        """
        decode = None if name is None else key_decoder(name).decode
        for raw in self._raws[self._position :]:
            key: str | int | None = None
            if decode is not None:
                try:
                    key = decode(raw).key
                except REFUSED:
                    key = None
            # As the text that a model would have for it: a page whose records are read tells them apart by that.
            yield bytes(raw) if key is None or key == "" else str(key)


def _extend(items: list[T], reading: Iterator[T]) -> str | None:
    """Append the records that are read, up to one that is refused; return why it is, or `None`."""
    try:
        items.extend(reading)
    except REFUSED as error:
        return str(error)  # not the error itself: its traceback would keep the page
    return None


def _refuse(_raw: bytes | msgspec.Raw) -> Any:
    """Stand for the decoder of a type that msgspec cannot read right."""
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
    from carecloud_async.codec.tolerant.mended import read_record  # cattrs takes 14 ms to import: at first need

    return read_record
