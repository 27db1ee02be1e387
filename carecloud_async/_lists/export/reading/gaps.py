"""Close a gap between two pages: records were deleted in between, and the later page begins too far on."""

from __future__ import annotations

from carecloud_async._lists.export.reading.page_chain import PageChain
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.probe import Probe

__all__ = ["close_gap"]


async def close_gap(page: RawPage, chain: PageChain) -> bool:
    """Step back until a page connects, then read forward until this one does.

    Args:
        page: the page after the gap.
        chain: the pages before it.

    Returns:
        whether it connects now. If not, the chain has passed it, and none of its records is needed.

    Raises:
        CareCloudError: a page could not be read.
    """
    requests, boundary = chain.requests, chain.boundary
    chain.evidence.list_changed = True
    requests.widen_overlap()
    probe = Probe(max(chain.last - requests.full_size + 1, 0))
    is_too_early = False  # whether a page was found that lies wholly within what is known
    while chain.may_continue():
        found = await chain.fetch(probe.at)
        connected = bool(found.ids) and chain.connects(found)
        if not connected and boundary.is_within(found) and found.end - 1 > probe.at:
            probe.at, is_too_early = found.end - 1, True
        elif connected or ((is_too_early or probe.back > 1) and boundary.connects_by_order(found)):
            await chain.take(found)
            if chain.is_done or chain.connects(page):
                return not chain.is_done
            if chain.last > page.end:
                return False
            probe.move_to(chain.last if chain.last > found.offset else found.offset + 1)
        elif not found.ids and (probe.at == 0 or probe.at > chain.last):
            return False
        else:
            probe.step_back(requests.full_size)
    chain.give_up()
    return False
