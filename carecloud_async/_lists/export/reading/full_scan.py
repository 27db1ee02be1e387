"""Reading a whole list: in the order of its ids if the server keeps one, otherwise until a pass finds nothing new."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async._lists.export.errors import CannotStartOverError
from carecloud_async._lists.export.reading.boundary import Boundary, NotInOrderError
from carecloud_async._lists.export.reading.evidence import ENOUGH, IdOrder, sorted_bits
from carecloud_async._lists.export.reading.list_pass import Accept, ListPass
from carecloud_async._lists.export.reading.pages import Identity, RawPage, RawPageFetcher
from carecloud_async._lists.export.reading.recorder import Recorder, boundary_fields
from carecloud_async._lists.export.reading.seen_ids import Deduplicator
from carecloud_async._lists.export.source import ExportSource
from carecloud_async._lists.export.storage.checkpoint import Position, Strategy
from carecloud_async._lists.paging.page_plan import PagePlan
from carecloud_async.errors import BadRequestError

__all__ = ["FullScan", "OrderedPasses", "id_sort", "read_in_order"]

#: The largest number of passes over a list.
_MAX_PASSES = 10

#: Pairs of neighbours that were both seen before, needed to judge whether the order is stable.
_ENOUGH_PAIRS = 200

_START = Position()


def id_sort(source: ExportSource) -> Mapping[str, Any] | None:
    """Return the sort by id, or `None` if the list has no id, no sort, or a sort of the user's own."""
    operation, params = source.operation, source.params
    name = operation.id_field
    if not operation.paged or name is None or "sort_field" not in operation.parameters:
        return None
    if params.get("sort_field") not in {None, name}:
        return None
    return {"sort_field": name, "sort_direction": params.get("sort_direction") or "ASC"}


@frozen(kw_only=True, repr=False)
class FullScan:
    """Reads every record of a list.

    Attributes:
        source: the list.
        fetcher: fetches its pages.
        recorder: takes the records.
        plan: the number of requests at once, and their size.
        open_deduplicator: opens the memory of the records seen: that of the checkpoint, or an empty one. Blocks.
    """

    source: ExportSource
    fetcher: RawPageFetcher
    recorder: Recorder
    plan: PagePlan
    open_deduplicator: Callable[[bool], Deduplicator]

    async def read(self) -> None:
        """Read the list.

        Raises:
            CareCloudError: a page could not be read.
        """
        start = self.recorder.start
        if not self.source.operation.paged:
            page = await self.fetcher.fetch(0, self.source.fixed_count, {})
            await self.recorder.record_whole(page, page.lines, strategy=Strategy.ORDERED)
            return
        params = id_sort(self.source)
        resumed = start.strategy is Strategy.UNORDERED
        if params is not None and start.strategy is Strategy.ORDERED:
            boundary = self._continued_boundary()
            try:
                if not await self._read_ordered(params, boundary):
                    await self._read_twice(params, boundary)
            except NotInOrderError as error:
                self.fetcher.dropped = boundary.shown_ids
                await self._start_over(by_text=error.ambiguous)
            except BadRequestError as error:
                if self.recorder.counts.records or not _is_about_sort(error):
                    raise
                params = None
            else:
                return
        await self._read_unordered(params or {}, resumed=resumed)

    async def read_through(self, deduplicator: Deduplicator, *, strategy: Strategy) -> None:
        """Read in the order of ids after another strategy has written a part of the records.

        Args:
            deduplicator: knows what was written.
            strategy: the other strategy.
        """
        params = id_sort(self.source)
        exact = False
        if params is not None:
            with contextlib.suppress(NotInOrderError):
                exact = await self._read_remembering(params, deduplicator, strategy=strategy)
        if not exact:
            with contextlib.suppress(NotInOrderError):
                await self._repeat_passes(params or {}, deduplicator, strategy=strategy)

    def make_pass(
        self,
        params: Mapping[str, Any],
        boundary: Boundary,
        accept: Accept,
        *,
        position: Position = _START,
        stop_after: Callable[[RawPage], bool] = lambda _: False,
    ) -> ListPass:
        """Return a pass over the list. It must find as many records as any earlier answer gave; see `ListPass`."""
        position = evolve(position, largest_total=self.fetcher.largest_total)
        shown, self.fetcher.dropped = self.fetcher.dropped, set()
        return ListPass(
            self.fetcher,
            params=params,
            boundary=boundary,
            accept=accept,
            plan=self.plan,
            position=position,
            stop_after=stop_after,
            shown=shown,
        )

    def _start_position(self) -> Position:
        start = self.recorder.start
        same = start.count == self.recorder.count
        return start.position if same else evolve(start.position, page_size=0)

    async def _start_over(self, *, by_text: bool) -> None:
        """Drop the records written so far: they cannot be relied on."""
        await self.recorder.start_over()
        if by_text:
            self.fetcher.by_text, self.fetcher.dropped = True, set()

    async def _may_start_over(self) -> bool:
        """Drop what was written, because records may be missing from it; return whether that is possible."""
        try:
            await self._start_over(by_text=False)
        except CannotStartOverError:
            return False
        return True

    def _continued_boundary(self) -> Boundary:
        start = self.recorder.start
        pages, records = start.counts.pages, start.counts.records
        return Boundary(
            IdOrder(start.orders),
            recent=start.recent_ids,
            last=start.last_id,
            has_forgotten=records > len(start.recent_ids),
            evidence=pages * sorted_bits(records / pages) if pages else 0.0,  # equal page sizes give the least evidence
        )

    async def _read_ordered(self, params: Mapping[str, Any], boundary: Boundary) -> bool:
        """Read in the order of ids; return whether as many records were found as the list has."""

        async def accept(page: RawPage, new: list[int], list_pass: ListPass) -> None:
            lines = page.lines if len(new) == len(page.lines) else [page.lines[index] for index in new]
            await self.recorder.record(
                lines,
                strategy=Strategy.ORDERED,
                position=list_pass.position,
                list_changed=list_pass.list_changed,
                **boundary_fields(boundary),
            )

        def make_pass(number: int) -> ListPass:
            return self.make_pass(
                params, boundary, accept, position=self._start_position() if number == 1 else Position()
            )

        found = await read_in_order(make_pass, boundary)
        is_short = any(one.falls_short(self.recorder.counts.records) for one in found.doubted)
        self.recorder.end_pass(found.doubted[-1], exact=found.exact and not is_short, passes=found.passes)
        return not (found.exact and is_short)

    async def _read_twice(self, params: Mapping[str, Any], boundary: Boundary) -> None:
        """Read in the order of ids again, at most twice, remembering every id: records were missing by the totals.

        What was written stays if all its ids are remembered: a record that one reading showed is not lost by the next.
        """
        written = [] if boundary.has_forgotten else boundary.remembered_ids
        if boundary.has_forgotten and not await self._may_start_over():
            return
        deduplicator = await run_in_thread(lambda: self.open_deduplicator(False))
        await deduplicator.remember(written)
        not_shown = {*written}
        for number in (2, 3):
            if await self._read_remembering(
                params, deduplicator, strategy=Strategy.UNORDERED, passes=number, not_shown=not_shown
            ):
                return

    async def _read_remembering(
        self,
        params: Mapping[str, Any],
        deduplicator: Deduplicator,
        *,
        strategy: Strategy,
        passes: int | None = None,
        not_shown: set[Identity] | None = None,
    ) -> bool:
        """Read in the order of ids; return whether all records are known.

        Args:
            params: the sort.
            deduplicator: what is written.
            strategy: the way the list is read.
            passes: the number of the pass.
            not_shown: ids that were written before, without those that this pass and others like it show: they may have
                been deleted, and do not make up for records that are missing.
        """
        boundary, not_shown = Boundary(IdOrder()), set() if not_shown is None else not_shown
        accept_new = self._accept_new(deduplicator, boundary, strategy=strategy)

        async def accept(page: RawPage, new: list[int], list_pass: ListPass) -> None:
            not_shown.difference_update(page.ids)
            await accept_new(page, new, list_pass)

        list_pass = self.make_pass(params, boundary, accept)
        await list_pass.run()
        is_shown = list_pass.is_one_page or _shows_order(boundary.evidence)
        records = deduplicator.known - len(not_shown)
        exact = list_pass.is_whole and is_shown and not list_pass.falls_short(records)
        self.recorder.end_pass(list_pass, exact=exact, passes=passes)
        return exact

    async def _read_unordered(self, params: Mapping[str, Any], *, resumed: bool) -> None:
        try:
            deduplicator = await run_in_thread(lambda: self.open_deduplicator(resumed))
            await self._repeat_passes(params, deduplicator, strategy=Strategy.UNORDERED, resumed=resumed)
        except NotInOrderError:
            await self._start_over(by_text=True)
            deduplicator = await run_in_thread(lambda: self.open_deduplicator(False))
            await self._repeat_passes(params, deduplicator, strategy=Strategy.UNORDERED)

    async def _repeat_passes(
        self, params: Mapping[str, Any], deduplicator: Deduplicator, *, strategy: Strategy, resumed: bool = False
    ) -> None:
        start = self.recorder.start
        first = start.counts.passes if resumed else 1
        place_bits = 0.0
        for number in range(first, max(first, _MAX_PASSES) + 1):
            continued = resumed and number == first and bool(start.recent_ids)
            boundary = Boundary(recent=start.recent_ids if continued else (), has_forgotten=continued)
            before = deduplicator.known
            list_pass = self.make_pass(
                params,
                boundary,
                self._accept_new(deduplicator, boundary, strategy=strategy),
                position=self._start_position() if continued else Position(),
            )
            await list_pass.run()
            place_bits = 0.0 if list_pass.list_changed else place_bits + list_pass.place_bits
            is_stable = list_pass.is_one_page or _shows_order(place_bits + deduplicator.order_bits)
            # Another pass has found nothing new; the first pass cannot show that, nor one that goes on after a stop.
            is_confirmed = number > 1 and not continued and deduplicator.known == before
            exact = is_stable and _is_exact(list_pass, boundary, deduplicator, is_confirmed=is_confirmed)
            self.recorder.end_pass(list_pass, exact=exact, passes=number)
            is_clear = is_stable or deduplicator.neighbours.repeated_pairs > _ENOUGH_PAIRS
            if is_clear and _is_done(list_pass, deduplicator, is_confirmed=is_confirmed):
                return

    def _accept_new(self, deduplicator: Deduplicator, boundary: Boundary, *, strategy: Strategy) -> Accept:
        async def accept(page: RawPage, _: list[int], list_pass: ListPass) -> None:
            if boundary.ambiguous and not self.fetcher.by_text:
                raise NotInOrderError(ambiguous=True)
            lines = await deduplicator.select_new(page)
            more = boundary_fields(boundary) if strategy is Strategy.UNORDERED else {}
            await self.recorder.record(
                lines,
                strategy=strategy,
                position=list_pass.position,
                list_changed=list_pass.list_changed,
                by_text=self.fetcher.by_text,
                **deduplicator.checkpoint_fields,
                **more,
            )

        return accept


@frozen(kw_only=True)
class OrderedPasses:
    """The result of passes in the order of ids.

    Attributes:
        passes: their number.
        doubted: the passes since the last that showed the whole list as it stays: each may show that records are
            missing; that one if there is none.
        list_changed: whether the list was seen to change in one of them.
        exact: whether no gap was left, and the order of the records is shown to be stable.
    """

    passes: int
    doubted: Sequence[ListPass]
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
    place_bits, number, changed, doubted = 0.0, 1, False, list[ListPass]()
    while True:
        list_pass = make_pass(number)
        await list_pass.run()
        # While no id was forgotten, a pass hands over all that it shows.
        doubted = [list_pass] if _is_calm(list_pass) and not boundary.has_forgotten else [*doubted, list_pass]
        changed |= list_pass.list_changed
        place_bits = 0.0 if list_pass.list_changed else place_bits + list_pass.place_bits
        shown = is_one_page(list_pass) or _shows_order(boundary.evidence + place_bits)
        if shown or not list_pass.is_whole or number == _MAX_PASSES:
            exact = list_pass.is_whole and shown
            return OrderedPasses(passes=number, doubted=doubted, list_changed=changed, exact=exact)
        number += 1


def _is_calm(list_pass: ListPass) -> bool:
    """Return whether the list stayed as it is, and ended where its total says."""
    position = list_pass.position
    return not list_pass.list_changed and not list_pass.is_doubtful and position.end + 1 == position.total


def _shows_order(bits: float) -> bool:
    """Return whether the evidence shows that the order of the records is stable; see `evidence`."""
    return bits >= ENOUGH


def _is_done(list_pass: ListPass, deduplicator: Deduplicator, *, is_confirmed: bool) -> bool:
    """Return whether another pass would find nothing."""
    total, known = list_pass.position.total, deduplicator.known
    if not list_pass.list_changed:
        return is_confirmed or (known == total and not list_pass.falls_short(known))
    return is_confirmed and (total is None or known >= total)


def _is_exact(list_pass: ListPass, boundary: Boundary, deduplicator: Deduplicator, *, is_confirmed: bool) -> bool:
    """Return whether every record that stayed in the list was read.

    A pass without a gap proves it if the order of the records is stable. If records appear in another order than
    before, the server shuffles them, and nothing proves it: the records counted may have come and gone.
    """
    if not list_pass.is_whole or boundary.ambiguous or list_pass.falls_short(deduplicator.known):
        return False
    neighbours = deduplicator.neighbours
    if list_pass.list_changed:
        return is_confirmed and neighbours.inversions <= neighbours.pairs // 4
    return not neighbours.inversions and (is_confirmed or deduplicator.known == list_pass.position.total)


def _is_about_sort(error: BadRequestError) -> bool:
    return not error.invalid_params or any(param.name.startswith("sort_") for param in error.invalid_params)
