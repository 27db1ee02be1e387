"""Compares the records of a reading with those of a state, as sets in SQLite."""

from __future__ import annotations

import contextlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, repeat, starmap
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from carecloud_async._lists.changes.state_file import PendingChange, StateFile
from carecloud_async._lists.changes.values import Kind
from carecloud_async._lists.export.errors import disk_errors
from carecloud_async._lists.export.reading.pages import Identity, RawPage, identify, text_digest
from carecloud_async._lists.export.reading.seen import Seen
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.writer import Writer
from carecloud_async._lists.paging.list_source import ListSource

__all__ = ["Comparison"]

#: The most values of a query: every build of SQLite takes a thousand variables.
_VALUES = 500
_RANGE = "SELECT text FROM records WHERE id BETWEEN ? AND ? AND record IS {} LIMIT ?"
_FIND = "SELECT id, twin, text, value, record IS NOT NULL FROM records WHERE id IN ({})"
_PUT = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)"
#: `seen` holds ids, or the digests of texts where several records share an id: a record is gone if it holds neither.
_FIND_GONE = """INSERT INTO gone SELECT id, twin FROM records
WHERE NOT EXISTS (SELECT 1 FROM seen WHERE seen.id = records.id)
AND NOT EXISTS (SELECT 1 FROM seen WHERE seen.id = records.text)"""
_REMOVE_GONE = "DELETE FROM records WHERE (id, twin) IN (SELECT id, twin FROM gone)"
#: Users know a record by its id: it is deleted when no other record has that id.
_DELETED = "SELECT DISTINCT id FROM gone WHERE NOT EXISTS (SELECT 1 FROM records WHERE records.id = gone.id)"


class _Known(NamedTuple):
    """A record as the state knows it.

    Attributes:
        id: its id, or the digest of its text if it has no usable id.
        twin: its number among the records with this id.
        text: the digest of its text.
        value: the digest of its value, which does not depend on the order of the fields.
        is_kept: whether the state keeps the record too, not only its digests.
    """

    id: Identity
    twin: int
    text: bytes
    value: bytes
    is_kept: bool


#: The known records with one id, by their number.
_Twins: TypeAlias = dict[int, _Known]
#: A record of a page: its id, its line and the digest of its text.
_Shown: TypeAlias = tuple[Identity, bytes, bytes]


class Comparison(Writer):
    """Compares the records of one reading with a state. Everything blocks; one thread at a time.

    Args:
        state: the records of the last run; each commit updates it.
        source: the list.
        keep: whether the state keeps whole records or only their digests.

    Attributes:
        known: the number of records that the state knew at first.
        counts: the number of changes of each kind, and of unchanged records.
        earlier: the number of changes of each kind that an earlier run found and nobody has taken.
    """

    def __init__(self, state: StateFile, source: ListSource[Any], *, keep: Literal["digests", "records"]) -> None:
        super().__init__(source.clock)
        self._state, self._db, self._keeps = state, state.db, keep == "records"
        self._id_field = source.operation.id_field
        self.seen = Seen(state.db)
        self.known: int = self._count("SELECT count(*) FROM records")
        self.counts: Counter[str] = Counter()
        self.earlier: Counter[str] = Counter(change.kind for changes in state.pending() for change in changes)

    def _count(self, query: str) -> int:
        return int(self._db.execute(query)[0][0])

    def clear(self) -> None:
        """See `Writer.clear`."""
        self._state.restart()
        self.seen.clear()
        self.counts.clear()

    def commit(self, pages: Sequence[RawPage], checkpoint: Checkpoint) -> None:
        """Compare the records that this reading has not shown before, and update the state in its transaction.

        Raises:
            ExportError: the disk refuses.
        """
        with disk_errors(self._state.path):
            if new := self.seen.select(pages, sweep=checkpoint.sweep):
                self._take(new, by_text=checkpoint.by_text)

    def _take(self, pages: Sequence[RawPage], *, by_text: bool) -> None:
        """Compare records with the state.

        Args:
            pages: the records.
            by_text: whether several records share an id, so that `seen` holds the digests of texts.
        """
        lines = [line for page in pages for line in page.items]
        ids = identify(lines, self._id_field) if by_text else [key for page in pages for key in page.ids]
        texts = [*map(text_digest, lines)]
        # Most records are unchanged. Where a page is a range of ids, one query for the digests of that range shows it.
        known = self._texts(ids) if self.known else set()
        others = [record for record in zip(ids, lines, texts, strict=True) if record[2] not in known]
        self.counts["unchanged"] += len(lines) - len(others)
        if not others:
            return
        twins = self._find([key for key, _, _ in others]) if self.known or by_text else {}
        if twins or by_text:
            self._compare(others, twins, by_text=by_text)
        else:
            self._create(others)

    def _compare(self, records: Sequence[_Shown], known: dict[Identity, _Twins], *, by_text: bool) -> None:
        """Compare records with those that the state knows by their ids; note what was created or updated."""
        changes: list[PendingChange] = []
        rows: list[tuple[Identity, int, bytes, bytes, bytes | None]] = []
        for key, line, text in records:
            twins = known.setdefault(key, {})
            before = self._counterpart(twins, text, by_text=by_text)
            if before is not None and before.text == text and before.is_kept == self._keeps:
                self.counts["unchanged"] += 1
                continue
            twin = max(twins, default=-1) + 1 if before is None else before.twin
            after = _Known(key, twin, text, text_digest(_canonical(line)), self._keeps)
            twins[twin] = after
            rows.append((*after[:4], self._kept(line)))
            kind = _kind(before, after)
            self.counts[kind or "unchanged"] += 1
            if kind is not None:
                changes.append(PendingChange(kind, _shown(key), self._differing(before, line), line))
        self._db.execute_many(_PUT, rows)
        self._state.note(changes)

    def _create(self, records: Sequence[_Shown]) -> None:
        """Take records that are all new, as in a first run."""
        ids, lines, texts = zip(*records, strict=True)
        values = [text_digest(_canonical(line)) for line in lines]
        self._db.execute_many(_PUT, [*zip(ids, repeat(0), texts, values, map(self._kept, lines))])
        self._state.note([*zip(repeat("created"), map(_shown, ids), repeat(()), lines)])
        self.counts["created"] += len(ids)

    def _kept(self, line: bytes) -> bytes | None:
        return zlib.compress(line, 6) if self._keeps else None

    def _texts(self, ids: Sequence[Identity]) -> set[bytes]:
        """Return the digests of the texts that the state knows between the first and the last of these ids."""
        low, high = sorted((ids[0], ids[-1]), key=_order)
        query = _RANGE.format("NOT NULL" if self._keeps else "NULL")
        return {text for (text,) in self._db.execute(query, (low, high, len(ids) + _VALUES))}

    def _find(self, ids: Sequence[Identity]) -> dict[Identity, _Twins]:
        """Return the known records with these ids."""
        known: dict[Identity, _Twins] = {}
        for begin in range(0, len(ids), _VALUES):
            part = ids[begin : begin + _VALUES]
            for record in starmap(_Known, self._db.execute(_FIND.format(",".join("?" * len(part))), part)):
                known.setdefault(record.id, {})[record.twin] = record
        return known

    def _counterpart(self, twins: _Twins, text: bytes, *, by_text: bool) -> _Known | None:
        """Return the known record that a shown one is compared with; `None` if the shown one is new.

        Args:
            twins: the known records with its id.
            text: the digest of its text.
            by_text: whether several records share an id. Then it is the twin with this text, or else one whose text
                this reading has not shown: that one may have changed.
        """
        same = (twin for twin in twins.values() if twin.text == text)
        may_have_changed = (twin for twin in twins.values() if not (by_text and self._was_shown(twin.text)))
        return next(chain(same, may_have_changed), None)

    def _was_shown(self, text: bytes) -> bool:
        return bool(self._db.execute("SELECT 1 FROM seen WHERE id = ?", (text,)))

    def _differing(self, before: _Known | None, line: bytes) -> tuple[str, ...]:
        """Return the fields that differ from a known record; none if the state does not keep it."""
        if before is None or not before.is_kept:
            return ()
        rows = self._db.execute("SELECT record FROM records WHERE id = ? AND twin = ?", (before.id, before.twin))
        return tuple(_differing(rows[0][0], line))

    def find_gone(self) -> int:
        """Find the known records that a reading of the whole list did not show; return their number."""
        if self.known > self.counts["unchanged"] + self.counts["updated"]:
            self.seen.fill()
            self._db.execute(_FIND_GONE)
        return self._count("SELECT count(*) FROM gone")

    def delete_gone(self) -> None:
        """Note as deleted what `find_gone` has found; only after an exact reading of the whole list."""
        if not self._db.execute("SELECT 1 FROM gone LIMIT 1"):
            return
        self._db.execute(_REMOVE_GONE)
        deleted = [PendingChange("deleted", _shown(key), (), None) for (key,) in self._db.execute(_DELETED)]
        self._state.note(deleted)
        self.counts["deleted"] = len(deleted)


def _kind(before: _Known | None, after: _Known) -> Kind | None:
    """Return how a record has changed; `None` if its value is the same."""
    if before is None:
        return "created"
    return "updated" if before.value != after.value else None


def _shown(key: Identity) -> str:
    return key.hex() if isinstance(key, bytes) else key


def _order(key: Identity) -> tuple[bool, bytes]:
    """Return what SQLite sorts by: texts before blobs, texts by their UTF-8."""
    return (True, key) if isinstance(key, bytes) else (False, key.encode())


def _exact_float(digits: str) -> Any:
    """Read a number as a float; as its text if a float cannot hold all its digits, or two numbers might seem equal."""
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
