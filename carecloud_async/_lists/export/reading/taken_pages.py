"""`TakenPages`: the last pages that a pass took. Comparing the next one with them shows whether records moved."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from carecloud_async._lists.export.reading.evidence import place_bits
from carecloud_async._lists.export.reading.pages import Identity, RawPage
from carecloud_async._lists.export.storage.checkpoint import Position

__all__ = ["Overlap", "TakenPages", "compare"]

#: Pages that are remembered, and read again if records moved: a server may leave records out of three answers in a row.
_PAGES = 3


@frozen
class Overlap:
    """The result of a comparison.

    Attributes:
        changed: whether the list was seen to change.
        moved_by: by how many places records moved towards the end of the list; negative towards its beginning.
        bits: how strongly the same record in the same place shows a stable order.
    """

    changed: bool = False
    moved_by: int = 0
    bits: float = 0.0


def compare(before: RawPage | None, page: RawPage) -> Overlap:
    """Compare a page with the one before it; pages with nulls or without an overlap give no evidence."""
    if before is None or before.has_nulls or page.has_nulls or not before.ids or not page.ids:
        return Overlap()
    place = page.offset - before.offset  # of the page's first record in the page before
    if 0 <= place < len(before.ids) and before.ids[place] == page.ids[0]:
        return Overlap(bits=place_bits(page.end), moved_by=_moved_by(before, page) or 0)
    moved = _moved_by(before, page)
    return Overlap(changed=moved != 0 and (moved is not None or 0 <= place < len(before.ids)), moved_by=moved or 0)


class TakenPages:
    """The last pages that a pass took, without those that it read again.

    Args:
        position: where an earlier run of the pass ended.
        ids: the ids that it took last, up to that position.
        size: the number of records in a page.
    """

    def __init__(self, position: Position, ids: Sequence[Identity], *, size: int) -> None:
        self._pages = _pages_before(position, ids, size=size)

    @property
    def last(self) -> RawPage | None:
        """The last one; `None` at the start of a list."""
        return self._pages[-1] if self._pages else None

    def moved_by(self, page: RawPage, *, is_known: bool) -> int:
        """Return by how many places records moved towards the end of the list, by the last page that shows one.

        If none of them shows a record of the page, these moved past all of them, or further.

        Args:
            page: the next page.
            is_known: whether it shows a record that was taken.
        """
        for before in reversed(self._pages):
            moved_by = None if before.has_nulls or page.has_nulls else _moved_by(before, page)
            if moved_by is not None:
                return moved_by
        has_nulls = any(one.has_nulls for one in [*self._pages, page])
        # A page alone was taken before others were read again: many records may have been created since.
        is_past = is_known and len(self._pages) > 1 and not has_nulls
        return max(page.offset - self._pages[0].offset + 1, 0) if is_past else 0

    def add(self, page: RawPage) -> None:
        """Remember a page."""
        self._pages = [*self._pages[1 - _PAGES :], page]

    def below(self, total: int) -> list[RawPage]:
        """Return the pages that counted fewer records than a total."""
        return [one for one in self._pages if one.total is not None and one.total < total]

    def clear(self) -> None:
        """Forget all."""
        self._pages = []


def _pages_before(position: Position, ids: Sequence[Identity], *, size: int) -> list[RawPage]:
    """Return the last pages of an earlier run, as far as they are known; each shows the last record of the one before.

    Args:
        position: where the run ended.
        ids: the ids that it took last, up to that position.
        size: the number of records in a page.
    """
    pages, last = list[RawPage](), position.end
    # Without a size, no page was taken yet: a range begins after ids that pages before it show.
    known = ids[max(len(ids) - last - 1, 0) :] if position.page_size else ()
    while known and len(pages) < _PAGES:
        shown = [*known[-size:]]
        count = len(shown)
        offset = last + 1 - count
        page = RawPage(offset=offset, lines=[], ids=shown, received=count, last=last, total=position.total)
        pages.insert(0, page)
        known, last = known[: 1 - count] if count < len(known) else (), offset
    return pages


def _moved_by(before: RawPage, page: RawPage) -> int | None:
    """Return by how many places the last record that both pages show has moved; `None` if there is none."""
    if before.ids[-1] == page.ids[0]:
        return page.offset - before.end + 1
    offsets = {one: offset for offset, one in enumerate(page.ids, page.offset)}
    for index in range(len(before.ids) - 1, -1, -1):
        if before.ids[index] in offsets:
            return offsets[before.ids[index]] - before.offset - index
    return None
