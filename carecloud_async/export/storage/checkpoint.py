"""`Checkpoint`: the state of an export, bound to what is exported and to the bytes that are on disk."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from attrs import field, frozen

from carecloud_async.errors import ExportError
from carecloud_async.export.report import Counts
from carecloud_async.export.source import foreign
from carecloud_async.fixes import RESTART
from carecloud_async.runtime.durable_files import read_private, replace_file

__all__ = ["Checkpoint", "Position", "Strategy", "read_checkpoint", "read_durable", "write_durably"]

T = TypeVar("T")

_VERSION = 3


class Strategy(StrEnum):
    """The way a list is read.

    `ORDERED`: in the order of its ids, which shows the new records. `UNORDERED`: in an order of the server's
    own, remembering every id. `CHANGED`: by the time of change, the latest first.
    """

    ORDERED = "ordered"
    UNORDERED = "unordered"
    CHANGED = "changed"


@frozen(kw_only=True)
class Position:
    """The position of a pass in the list, from which a later run can continue.

    Attributes:
        end: the offset of the last record that is known, -1 at the beginning.
        page_size: the number of records the server sends at most; 0 while unknown.
        total: the length of the list, as the server said last.
        least_total: the smallest of its totals.
        explained_missing: the number of records that observed deletions account for.
    """

    end: int = -1
    page_size: int = 0
    total: int | None = None
    least_total: int | None = None
    explained_missing: int = 0


@frozen(kw_only=True)
class Checkpoint:
    """The state of an export after a commit.

    Attributes:
        fingerprints: digests of what is exported, see `ExportSource.fingerprints`.
        strategy: the way the list is read.
        position: the position of the pass.
        count: the page size that was requested; 0 if it was found.
        by_text: whether records are identified by their whole text, because their ids are not unique.
        orders: the orders of ids that all pages agreed with, by name; `None` before the first page.
        last_id: the furthest id, for the ordered strategy.
        recent_ids: the ids last accepted, in the order of the list.
        step: the last step in which seen ids were added.
        known: the number of seen ids.
        counts: the counts so far.
        complete: whether everything was read.
        size: the number of valid bytes in the file of records.
        crc: their CRC-32.
    """

    version: int = _VERSION
    fingerprints: dict[str, str] = field(factory=dict)
    strategy: Strategy = Strategy.ORDERED
    position: Position = field(factory=Position)
    count: int = 0
    by_text: bool = False
    orders: list[str] | None = None
    last_id: str | int | None = None
    recent_ids: list[str | int] = field(factory=list)
    step: int = 0
    known: int = 0
    counts: Counts = field(factory=Counts)
    complete: bool = False
    size: int = 0
    crc: int = 0

    def require(self, fingerprints: Mapping[str, str], *, where: Path) -> None:
        """Refuse to continue an export of something else.

        Raises:
            ExportError: the checkpoint belongs to another export; the message says what differs.
        """
        problem = foreign(self.fingerprints, fingerprints, kind="export", own="a target")
        if self.version != _VERSION:
            problem = "was made by another version of this package"
        if problem is not None:
            raise ExportError(f"cannot resume: {where} {problem}", fix=RESTART)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; `None` if there is none.

    Raises:
        ExportError: it cannot be read, or was changed by other means.
    """
    try:
        return read_durable(path, Checkpoint)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise ExportError(f"cannot resume: {path} is damaged", fix=RESTART) from None


def write_durably(path: Path, value: Any) -> None:
    """Write a value as JSON with its checksum, so that a crash leaves either the old file or the new one.

    Raises:
        OSError: it cannot be written.
    """
    data = msgspec.json.encode(value)
    replace_file(path, b'{"crc":%d,"value":%b}' % (zlib.crc32(data), data))


def read_durable(path: Path, kind: type[T]) -> T:
    """Read what `write_durably` wrote.

    Raises:
        FileNotFoundError: there is nothing.
        OSError: it cannot be read, is a link or belongs to another user.
        ValueError: the content is not what was written.
    """
    sealed = msgspec.json.decode(read_private(path), type=_Sealed)
    if zlib.crc32(sealed.value) != sealed.crc:
        raise ValueError("the checksum differs")
    return msgspec.json.decode(sealed.value, type=kind)


class _Sealed(msgspec.Struct):
    crc: int
    value: msgspec.Raw
