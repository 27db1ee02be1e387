"""`Checkpoint`: how far an export is, bound to what is exported and to the bytes that are on disk."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from attrs import evolve, field, frozen

from carecloud_async.errors import ExportError
from carecloud_async.export.report import Counts
from carecloud_async.runtime.durable_files import read_private, replace_file

__all__ = ["Checkpoint", "Place", "read_checkpoint", "read_durable", "write_durably"]

T = TypeVar("T")

_VERSION = 1


@frozen(kw_only=True)
class Place:
    """Where a sweep stands, as far as another may go on from there.

    Attributes:
        end: the place of the last record that is known, -1 at the beginning.
        full: how many records the server sends at most; 0 if that is not known yet.
        total: how long the list is, as the server says.
    """

    end: int = -1
    full: int = 0
    total: int | None = None


@frozen(kw_only=True)
class Checkpoint:
    """How far an export is.

    Attributes:
        marks: digests of what is exported, see `Query.marks`.
        way: how the list is read: `ordered`, `recent`, `changed`.
        place: where the sweep stands.
        count: how many records it asked for at a time.
        ways: the orders of ids that all pages agreed with.
        last: the greatest id, in the ordered way.
        recent: the ids at the edge, in the other.
        step: the last step that the ids seen were added in.
        known: how many ids that makes.
        counts: what is counted.
        whole: whether everything was read.
        size: how many bytes of the records' file are sound.
        crc: their CRC-32.
    """

    version: int = _VERSION
    marks: dict[str, str] = field(factory=dict)
    way: str = "ordered"
    place: Place = field(factory=Place)
    count: int = 0
    ways: list[str] | None = None
    last: str | int | None = None
    recent: list[str | int] = field(factory=list)
    step: int = 0
    known: int = 0
    counts: Counts = field(factory=Counts)
    whole: bool = False
    size: int = 0
    crc: int = 0

    def require(self, marks: Mapping[str, str], *, where: Path) -> None:
        """Refuse to go on with an export of something else.

        Raises:
            ExportError: it is one; the message says what differs.
        """
        differing = [name for name in marks if self.marks.get(name) != marks[name]]
        if self.version != _VERSION:
            differing = ["version of this package"]
        if differing:
            raise ExportError(
                f"cannot resume: {where} belongs to another export (its {' and '.join(differing)} differ); export with "
                "resume=False to begin anew"
            )

    def sealed(self, *, size: int, crc: int) -> Checkpoint:
        """Return it bound to the bytes on disk."""
        return evolve(self, size=size, crc=crc)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; `None` if there is none.

    Raises:
        ExportError: it cannot be read, or was changed by anybody else.
    """
    try:
        return read_durable(path, Checkpoint)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise ExportError(f"cannot resume: {path} is damaged; export with resume=False to begin anew") from None


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
        OSError: it cannot be read, is a link or belongs to somebody else.
        ValueError: it is not what was written.
    """
    sealed = msgspec.json.decode(read_private(path), type=_Sealed)
    if zlib.crc32(sealed.value) != sealed.crc:
        raise ValueError("the checksum differs")
    return msgspec.json.decode(sealed.value, type=kind)


class _Sealed(msgspec.Struct):
    crc: int
    value: msgspec.Raw
