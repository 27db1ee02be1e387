"""Compares the overlap of two pages: it has the same record in the same place, or the list has moved."""

from __future__ import annotations

from attrs import frozen

from carecloud_async.export.reading.evidence import place_bits
from carecloud_async.export.reading.pages import RawPage

__all__ = ["Overlap", "compare"]


@frozen
class Overlap:
    """The result of a comparison.

    Attributes:
        changed: whether the list was seen to change.
        shift: by how many places records were seen to move.
        bits: how strongly the same record in the same place shows a stable order; see `evidence`.
    """

    changed: bool = False
    shift: int = 0
    bits: float = 0.0


def compare(before: RawPage | None, page: RawPage) -> Overlap:
    """Compare a page with the one before it; pages with nulls or without an overlap give no evidence."""
    if before is None or len(before.ids) != before.received or len(page.ids) != page.received:
        return Overlap()
    index = page.offset - before.offset
    if not 0 <= index < len(before.ids):
        return Overlap()
    if before.ids[index] == page.ids[0]:
        return Overlap(bits=place_bits(page.end))
    places = {one: before.offset + place for place, one in enumerate(before.ids)}
    moved = (abs(places[one] - page.offset - place) for place, one in enumerate(page.ids) if one in places)
    return Overlap(changed=True, shift=next(moved, page.received))
