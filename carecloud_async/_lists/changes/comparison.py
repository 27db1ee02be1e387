"""Comparing the records of a reading with a state."""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from carecloud_async._lists.changes.pending import PendingChanges
from carecloud_async._lists.changes.state_file import KnownRecord, NewRecord, StateFile
from carecloud_async._lists.export.reading.pages import Identity
from carecloud_async.errors import ExportError
from carecloud_async.fixes import Fix

__all__ = ["Comparison"]

#: Bytes of a digest: with eight, a changed record has the digest of one of a thousand neighbours once in 10 ** 16.
_DIGEST = 8

#: Each number takes a byte. Records are renumbered when the next number is greater than twice their count and this.
_SPARE_NUMBERS = 100_000

#: Stands between an id that several records have and the digest of the text of one of them.
_TWIN = "\0"

Identify: TypeAlias = Callable[[list[bytes]], list[Identity]]


class Comparison:
    """Takes the records of one reading, and collects what differs. Everything blocks; one thread at a time.

    Args:
        state: what is known; changed as records are taken.
        pending: takes the changes.
        keep: whether the state keeps records or their digests alone.

    Attributes:
        known: the number of records that the state knew at first.
        created, updated, deleted, unchanged: the numbers so far.
    """

    def __init__(self, state: StateFile, pending: PendingChanges, *, keep: Literal["digests", "records"]) -> None:
        self._state = state
        self._pending = pending
        self._keeps = keep == "records"
        self.known: int = len(state)
        self._begin()

    def _begin(self) -> None:
        if self._state.next_number > 2 * self.known + _SPARE_NUMBERS:
            self._state.renumber()
        self._next = self._first_new = self._state.next_number
        # A byte for each known record: a run without changes writes nothing.
        self._seen = bytearray(self._next)
        self.created: int = 0
        self.updated: int = 0
        self.deleted: int = 0
        self.unchanged: int = 0

    def restart(self) -> None:
        """Drop everything that was taken: the list is read with another strategy."""
        self._state.restart()
        self._pending.clear()
        self._begin()

    def take(self, lines: list[bytes], identify: Identify, *, by_text: bool = False) -> None:
        """Take records.

        Args:
            lines: the records.
            identify: returns their ids.
            by_text: whether some records have the same id: all but the first of them are identified by their text.
        """
        texts = list(map(_digest, lines))
        # The text of most records is unchanged. Where a page is a range of ids, the digests of that range show it
        # without a look at each id, which is a part of the text.
        ends = identify([lines[0], lines[-1]])
        known = self._state.find_texts(min(ends, key=_order), max(ends, key=_order), len(lines), kept=self._keeps)
        others: list[int] = []
        seen, first_new = self._seen, self._first_new
        for index, text in enumerate(texts):
            number = known.get(text)
            if number is None or number >= first_new:
                others.append(index)
            else:
                seen[number] = 1
        self.unchanged += len(lines) - len(others)
        if others:
            rest = [lines[index] for index in others]
            rest_texts, keys = [texts[index] for index in others], identify(rest)
            self._take_each(rest, rest_texts, self._tell_twins_apart(keys, rest_texts) if by_text else keys)

    def _tell_twins_apart(self, keys: Sequence[Identity], texts: Sequence[bytes]) -> list[Identity]:
        """Return the keys of records. If several records have one id, all keys but the first include the text."""
        twins = [key if isinstance(key, bytes) else _twin(key, text) for key, text in zip(keys, texts, strict=True)]
        known = self._state.find([*keys, *twins])
        taken: set[Identity] = set()
        found: list[Identity] = []
        for key, twin, text in zip(keys, twins, texts, strict=True):
            before = known.get(key)
            is_taken = before is not None and (before.number >= self._first_new or bool(self._seen[before.number]))
            is_other = key in taken or (is_taken and before is not None and before.text != text)
            if twin in known or is_other:
                found.append(twin)
            else:
                found.append(key)
                taken.add(key)
        return found

    def _take_each(self, lines: Sequence[bytes], texts: Sequence[bytes], keys: Sequence[Identity]) -> None:
        known = self._state.find(keys)
        changed: list[NewRecord] = []
        for key, line, text in zip(keys, lines, texts, strict=True):
            before = known.get(key)
            if before is None:
                changed.append(self._create(key, line, text))
                continue
            if before.number < self._first_new:
                self._seen[before.number] = 1
            if before.text == text and before.is_kept == self._keeps:
                self.unchanged += 1
            else:
                changed.append(self._compare(line, text, before))
        if changed:
            self._state.put(changed)

    def _create(self, key: Identity, line: bytes, text: bytes) -> NewRecord:
        number, self._next = self._next, self._next + 1
        self.created += 1
        self._pending.add("created", _shown(key), line)
        return NewRecord(key, number, text, _digest(_canonical(line)), self._kept(line))

    def _compare(self, line: bytes, text: bytes, before: KnownRecord) -> NewRecord:
        key, value = before.key, _digest(_canonical(line))
        if value == before.value:
            self.unchanged += 1
        else:
            self.updated += 1
            record = self._state.record(key) if before.is_kept else None
            self._pending.add("updated", _shown(key), line, () if record is None else tuple(_differing(record, line)))
        return NewRecord(key, before.number, text, value, self._kept(line))

    def _kept(self, line: bytes) -> bytes | None:
        return zlib.compress(line, 6) if self._keeps else None

    def recognize(self, lines: list[bytes], identify: Identify) -> None:
        """Note that known records are there, without comparing them: for the reading that confirms deletions."""
        keys = identify(lines)
        twins = [_twin(key, _digest(line)) for key, line in zip(keys, lines, strict=True) if isinstance(key, str)]
        before = self._seen.count(1)
        for record in self._state.find([*keys, *twins]).values():
            if record.number < self._first_new:
                self._seen[record.number] = 1
        self.unchanged += self._seen.count(1) - before

    @property
    def unseen(self) -> int:
        """The number of known records that were not found."""
        return self.known - self._seen.count(1)

    def check_shrink(self, *, name: str, left: int | None) -> None:
        """Raise if more than half of the list is gone.

        Args:
            name: the list's name.
            left: the current length of a list that changed while it was read, as the server reports it; `None` for
                other lists. A right that is taken away meanwhile hides only the end of the list.

        Raises:
            ExportError: more than half of it is gone.
        """
        unseen = self.unseen
        gone = unseen if left is None else max(unseen, self.known - left)
        if unseen and 2 * gone > self.known:
            raise ExportError(
                f"{name}: {gone:,} of {self.known:,} records are gone, more than half; a filter, a right of this user "
                "or the server may be at fault, so the state is unchanged",
                fix=Fix("if they were really deleted, pass {allow_shrink}"),
            )

    def find_deleted(self) -> None:
        """Collect the records that exact readings of the whole list did not find."""
        seen = self._seen + b"\1" * (self._next - self._first_new)
        for rows in self._state.numbers() if self.unseen else ():
            keys = [key for key, number in rows if not seen[number]]
            # Users know a record by its id: it is deleted when no other record has that id.
            ids = {_shown(key): None for key in keys if not self._has_twin(key, seen)}
            for one in ids:
                self._pending.add("deleted", one, None)
            self._state.remove(keys)
            self.deleted += len(ids)

    def _has_twin(self, key: Identity, seen: bytearray) -> bool:
        """Return whether another record with the same id was found."""
        if isinstance(key, bytes):
            return False
        first = key.partition(_TWIN)[0]
        twins = self._state.find_texts(first, first + chr(ord(_TWIN) + 1), 1, kept=self._keeps)
        return any(seen[number] for number in twins.values())

    def finish(self) -> None:
        """Store the next free number in the state."""
        self._state.set("next_number", self._next)


def _twin(key: str, text: bytes) -> str:
    return f"{key}{_TWIN}{text.hex()}"


def _shown(key: Identity) -> str:
    return key.hex() if isinstance(key, bytes) else key.partition(_TWIN)[0]


def _order(key: Identity) -> tuple[bool, bytes]:
    """Return what SQLite sorts by: texts before blobs, texts by their UTF-8."""
    return (True, key) if isinstance(key, bytes) else (False, key.encode())


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:_DIGEST]


def _exact_float(digits: str) -> Any:
    """Read a number as a float, unless a float has not all its digits: then two that differ would be equal."""
    number = float(digits)
    with contextlib.suppress(ArithmeticError):  # an exponent of twenty digits
        if Decimal(digits) == Decimal(repr(number)):
            return number
    return msgspec.Raw(digits.encode())


_decode: Callable[[bytes], Any] = msgspec.json.Decoder(float_hook=_exact_float).decode
_encode: Callable[[Any], bytes] = msgspec.json.Encoder(order="sorted").encode


def _canonical(line: bytes) -> bytes:
    """Return the same text for the same value, independent of the order of its fields."""
    try:
        return _encode(_decode(line))
    except (ValueError, RecursionError):
        return line


def _differing(before: bytes, line: bytes) -> Iterator[str]:
    """Yield the dotted fields that differ."""
    try:
        yield from _differ(_decode(zlib.decompress(before)), _decode(line), "")
    except (ValueError, RecursionError):
        return


def _differ(before: Any, after: Any, name: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for field in dict.fromkeys([*before, *after]):
            missing = field not in before or field not in after
            inner = f"{name}.{field}" if name else field
            if missing:
                yield inner
            else:
                yield from _differ(before[field], after[field], inner)
    elif before != after or type(before) is not type(after):
        yield name
