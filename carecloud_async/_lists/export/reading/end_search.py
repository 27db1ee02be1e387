"""`EndSearch`: finds the end of a list, one page at a time.

A short page that ends where its total says is not enough: totals may be wrong, and pages cut short. The last known
record has to be the last one of a page that is shorter than others, or nothing may follow it.
"""

from __future__ import annotations

from carecloud_async._lists.export.reading.page_chain import PageChain
from carecloud_async._lists.export.reading.pages import RawPage
from carecloud_async._lists.export.reading.probe import EndProbe
from carecloud_async.errors import ExportError

__all__ = ["EndSearch"]

#: How often the same page may come in a row when another one must follow.
_MAX_REPEATS = 6


class EndSearch:
    """A search from the last known record on.

    Args:
        chain: the pages that were taken.
    """

    def __init__(self, chain: PageChain) -> None:
        self._chain = chain
        self._probe = EndProbe(max(chain.last, 0))

    async def run(self) -> None:
        """Request pages until one shows the end of the list, or so many new records that reading ahead may go on.

        Raises:
            NotInOrderError: the boundary needs the order of ids, and the server does not keep it.
            ExportError: the server sends the same page again and again.
            CareCloudError: a page could not be read.
        """
        while self._chain.may_continue():
            page = await self._chain.fetch(self._probe.at)
            self._probe.observe(page)
            if not page.ids:
                if await self._ends_before(page):
                    return
            elif await self._take_next(page) and self._is_over(page):
                return
        self._chain.give_up()

    async def _ends_before(self, page: RawPage) -> bool:
        """Return whether a page without records shows that the list ended before it; if not, move the probe."""
        chain, probe = self._chain, self._probe
        if page.received:
            probe.move_to(page.end)
        elif probe.at == 0 or probe.at > chain.last:
            if probe.at > 0 and self._shows_no_overlap and chain.evidence.exact:
                await self._confirm_last_record()
            chain.is_done = True
        else:
            chain.evidence.list_changed = True
            probe.step_back(chain.requests.full_size)
        return chain.is_done

    @property
    def _shows_no_overlap(self) -> bool:
        """Whether the server sends one record at a time."""
        return self._chain.requests.largest_page < 2

    async def _confirm_last_record(self) -> None:
        """Check that the last known record is still the last one."""
        before = self._chain.last_page
        page = await self._chain.fetch(self._chain.last)
        if before is None or page.lines != before.lines:
            self._chain.evidence.leave_gap()

    async def _take_next(self, page: RawPage) -> bool:
        """Take a page if it is the next one; if not, move the probe and return `False`."""
        chain = self._chain
        connected = chain.connects(page)
        if self._probe.at > chain.last and self._shows_no_overlap:
            # The page follows the last known record without showing it: nothing proves that it is the next one.
            chain.evidence.leave_gap()
        elif not connected:
            connected = self._is_next_by_order(page)
            if not connected:
                return False
        await chain.take(page, connected=connected)
        return True

    def _is_next_by_order(self, page: RawPage) -> bool:
        """Return whether the order of ids shows that a page without a known record is next; if not, move the probe."""
        chain, probe = self._chain, self._probe
        chain.evidence.list_changed = True
        if chain.boundary.is_within(page):
            chain.skip(page)
            probe.move_to(max(page.end - 1, probe.at + 1))
            return False
        if probe.back > 1 and chain.boundary.connects_by_order(page):
            return True
        probe.step_back(chain.requests.full_size)
        return False

    def _is_over(self, page: RawPage) -> bool:
        """Return whether a page that was taken ends the search; if not, move the probe."""
        chain, probe, requests = self._chain, self._probe, self._chain.requests
        has_advanced = chain.boundary.has_advanced
        if chain.is_done or (not has_advanced and self._is_short_end(page)):
            chain.is_done = True
            return True
        probe.back = 1
        if not has_advanced:
            self._move_beyond(page)
            return False
        chain.evidence.totals.check_last(page.total, known=chain.last)
        if page.received > 1:
            requests.reads_ahead = True
            requests.continue_after(chain.last)
            return True
        probe.at = chain.last + self._shows_no_overlap
        return False

    def _is_short_end(self, page: RawPage) -> bool:
        """Return whether a page is shorter than others, ends where the total says, and reaches the boundary."""
        at_end = page.ids[-1] == self._chain.boundary.furthest
        return at_end and page.received < min(self._chain.requests.largest_page, page.asked) and page.ends_list

    def _move_beyond(self, page: RawPage) -> None:
        """Move the probe to the end of a page that showed nothing new.

        Raises:
            ExportError: the server sends the same page again and again.
        """
        probe = self._probe
        if probe.repeats > _MAX_REPEATS:
            where = f"up to record {probe.at}"
            raise ExportError(f"the server sends the same page again and again, {where}: it ignores `offset`")
        if probe.repeats != 1:  # the first repeat may be the answer to the previous request: request the page once more
            probe.at = page.offset + max(page.received - 1, 1)
