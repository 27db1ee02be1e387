"""Passes over a list in the order of its ids, until they show that the order is stable."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from carecloud_async._lists.export.reading.boundary import Boundary
from carecloud_async._lists.export.reading.evidence import ENOUGH
from carecloud_async._lists.export.reading.list_pass import ListPass

__all__ = ["MAX_PASSES", "OrderedPasses", "read_in_order", "shows_order"]

#: The largest number of passes over a list.
MAX_PASSES = 10


@frozen(kw_only=True)
class OrderedPasses:
    """What passes in the order of ids showed.

    Attributes:
        last_pass: the last pass.
        passes: their number.
        list_changed: whether the list was seen to change in one of them.
        exact: whether no gap was left, and the order of the records is shown to be stable.
    """

    last_pass: ListPass
    passes: int
    list_changed: bool
    exact: bool


async def read_in_order(
    make_pass: Callable[[int], ListPass],
    boundary: Boundary,
    *,
    is_one_page: Callable[[ListPass], bool] = lambda list_pass: list_pass.is_one_page,
) -> OrderedPasses:
    """Read a list, or a range of it, as often as it takes to show that its order is stable.

    A few short pages may be sorted by chance. Such a list is read again before it is reported as exact.

    Args:
        make_pass: makes a pass; gets its number, from 1.
        boundary: the boundary of all passes.
        is_one_page: returns whether one page held the whole list, so that its order does not matter.

    Raises:
        NotInOrderError: the server does not keep the order of ids.
        CareCloudError: a page could not be read.
    """
    place_bits, number, changed = 0.0, 1, False
    while True:
        list_pass = make_pass(number)
        await list_pass.run()
        changed |= list_pass.list_changed
        place_bits = 0.0 if list_pass.list_changed else place_bits + list_pass.place_bits
        shown = is_one_page(list_pass) or shows_order(boundary.evidence + place_bits)
        if shown or not list_pass.exact or number == MAX_PASSES:
            return OrderedPasses(
                last_pass=list_pass, passes=number, list_changed=changed, exact=list_pass.exact and shown
            )
        number += 1


def shows_order(bits: float) -> bool:
    """Return whether the evidence shows that the order of the records is stable; see `evidence`."""
    return bits >= ENOUGH
