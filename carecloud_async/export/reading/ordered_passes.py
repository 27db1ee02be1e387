"""Passes over a list in the order of its ids, until they show that the order is stable."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from carecloud_async.export.reading.boundary import Boundary
from carecloud_async.export.reading.evidence import ENOUGH
from carecloud_async.export.reading.page_sweep import PageSweep

__all__ = ["MAX_PASSES", "OrderedPasses", "read_in_order", "shows_order"]

#: The largest number of passes over a list.
MAX_PASSES = 10


@frozen(kw_only=True)
class OrderedPasses:
    """What passes in the order of ids showed.

    Attributes:
        sweep: the last pass.
        passes: their number.
        list_changed: whether the list was seen to change in one of them.
        exact: whether no gap was left, and the order of the records is shown to be stable.
    """

    sweep: PageSweep
    passes: int
    list_changed: bool
    exact: bool


async def read_in_order(
    make_sweep: Callable[[int], PageSweep],
    boundary: Boundary,
    *,
    is_one_page: Callable[[PageSweep], bool] = lambda sweep: sweep.is_one_page,
) -> OrderedPasses:
    """Read a list, or a range of it, as often as it takes to show that its order is stable.

    A few short pages may be sorted by chance. Such a list is read again before it is reported as exact.

    Args:
        make_sweep: makes a pass; gets its number, from 1.
        boundary: the boundary of all passes.
        is_one_page: returns whether one page held the whole list, so that its order does not matter.

    Raises:
        NotInOrderError: the server does not keep the order of ids.
        CareCloudError: a page could not be read.
    """
    place_bits, number, changed = 0.0, 1, False
    while True:
        sweep = make_sweep(number)
        await sweep.run()
        changed |= sweep.list_changed
        place_bits = 0.0 if sweep.list_changed else place_bits + sweep.place_bits
        shown = is_one_page(sweep) or shows_order(boundary.evidence + place_bits)
        if shown or not sweep.exact or number == MAX_PASSES:
            return OrderedPasses(sweep=sweep, passes=number, list_changed=changed, exact=sweep.exact and shown)
        number += 1


def shows_order(bits: float) -> bool:
    """Return whether the evidence shows that the order of the records is stable; see `evidence`."""
    return bits >= ENOUGH
