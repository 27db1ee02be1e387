"""Records in pieces of a size that is quick to work on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["pieces"]

#: Bytes in a piece. It fits the processor's cache, and the allocator has it at hand: a block of twice this size is
#: asked of the system each time, page by page, which takes longer than to fill it.
_SIZE = 96 * 1024


def pieces(lines: Sequence[bytes], *, size: int = _SIZE) -> Iterator[Sequence[bytes]]:
    """Yield records in their order, so many bytes or so at a time; a larger record stands alone.

    Args:
        lines: the records.
        size: the bytes of a piece.
    """
    step = max(len(lines) * size // max(sum(map(len, lines)), size), 1)
    for start in range(0, len(lines), step):
        yield lines[start : start + step]
