"""Reading a whole list: in the order of its ids where the server keeps it, else until nothing new turns up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from carecloud_async.errors import BadRequestError
from carecloud_async.export.reading.boundary import Boundary, NotInOrderError, OrderedFrontier, RecentFrontier
from carecloud_async.export.reading.deduplicator import Deduplicator
from carecloud_async.export.reading.order import Order
from carecloud_async.export.reading.page_sweep import Accept, PageSweep
from carecloud_async.export.reading.query import Query
from carecloud_async.export.reading.recorder import Recorder, edge
from carecloud_async.export.reading.source import RawPage, Source
from carecloud_async.export.storage.checkpoint import Place

__all__ = ["MAX_SWEEPS", "FullScan"]

#: How often a list that has no order is read at most.
MAX_SWEEPS = 10


class FullScan:
    """Reads every record of a list.

    Args:
        query: the list.
        source: where its pages come from.
        book: where the records go.
        width: how many requests at once.
        keeper: makes the memory of what was seen, going on from a checkpoint or afresh.
    """

    def __init__(
        self, query: Query, *, source: Source, book: Recorder, width: int, keeper: Callable[[bool], Deduplicator]
    ) -> None:
        self._query = query
        self._source = source
        self._book = book
        self._width = width
        self._keeper = keeper

    async def read(self) -> None:
        """Read.

        Raises:
            CareCloudError: a page could not be read.
        """
        start = self._book.start
        if not self._query.operation.paged:
            page = await self._source.fetch(0, self._query.count, {})
            await self._book.keep(page.lines, way="ordered", place=Place(total=page.total), drifted=False)
            return
        params = self._id_sort()
        if params is not None and start.way == "ordered":
            try:
                await self._read_ordered(params)
            except NotInOrderError:
                await self._book.begin_anew()
            except BadRequestError as error:
                if self._book.counts.records or not _about_sort(error):
                    raise
                params = None
            else:
                return
            await self._read_recent(params or {}, resumed=False)
        else:
            await self._read_recent(params or {}, resumed=start.way == "recent")

    async def read_through(self, keeper: Deduplicator, *, way: str) -> None:
        """Read in the order of ids beside what another way has written already.

        Args:
            keeper: knows what was written.
            way: what a checkpoint calls that other way.
        """
        params = self._id_sort()
        settled = False
        if params is not None:
            with contextlib.suppress(NotInOrderError):
                frontier = OrderedFrontier(self._order(None))
                sweep = self._sweep(params, frontier, self._accept_new(keeper, frontier, way=way), place=Place())
                await sweep.run()
                settled = sweep.settled
                self._book.note(sweep)
        if not settled:
            await self._sweep_again(params or {}, keeper, way=way)

    def _id_sort(self) -> Mapping[str, Any] | None:
        """Return the sort by id, or `None` if the list has no id, no sort, or one of the user's own."""
        operation, params = self._query.operation, self._query.params
        field = operation.id_field
        if not operation.paged or field is None or "sort_field" not in operation.parameters:
            return None
        if params.get("sort_field") not in {None, field}:
            return None
        return {"sort_field": field, "sort_direction": params.get("sort_direction") or "ASC"}

    def _order(self, ways: list[str] | None) -> Order:
        direction = str(self._query.params.get("sort_direction") or "ASC")
        return Order(ways, descending=direction.upper() == "DESC")

    def _sweep(self, params: Mapping[str, Any], frontier: Boundary, accept: Accept, *, place: Place) -> PageSweep:
        return PageSweep(
            self._source,
            params=params,
            frontier=frontier,
            accept=accept,
            count=self._query.count,
            width=self._width,
            place=place,
        )

    def _place(self) -> Place:
        start = self._book.start
        same = start.count == self._query.count
        return start.place if same else Place(end=start.place.end, total=start.place.total)

    async def _read_ordered(self, params: Mapping[str, Any]) -> None:
        start = self._book.start
        frontier = OrderedFrontier(self._order(start.ways), start.last)

        async def accept(page: RawPage, index: int, sweep: PageSweep) -> None:
            await self._book.keep(
                page.lines[index:], way="ordered", place=sweep.place, drifted=sweep.drifted, **edge(frontier)
            )

        sweep = self._sweep(params, frontier, accept, place=self._place())
        await sweep.run()
        self._book.note(sweep)

    async def _read_recent(self, params: Mapping[str, Any], *, resumed: bool) -> None:
        keeper = self._keeper(resumed)
        await self._sweep_again(params, keeper, way="recent", resumed=resumed)

    async def _sweep_again(
        self, params: Mapping[str, Any], keeper: Deduplicator, *, way: str, resumed: bool = False
    ) -> None:
        start = self._book.start
        first = start.counts.sweeps if resumed else 1
        for number in range(first, max(first, MAX_SWEEPS) + 1):
            continued = resumed and number == first and way == "recent" and bool(start.recent)
            frontier = RecentFrontier(start.recent if continued else ())
            before = keeper.known
            sweep = self._sweep(
                params,
                frontier,
                self._accept_new(keeper, frontier, way=way),
                place=self._place() if continued else Place(),
            )
            await sweep.run()
            done = _is_done(sweep, known=keeper.known, fresh=keeper.known - before, first=number == 1)
            self._book.note(sweep, settled=done, sweeps=number)
            if done:
                return

    def _accept_new(self, keeper: Deduplicator, frontier: RecentFrontier | OrderedFrontier, *, way: str) -> Accept:
        async def accept(page: RawPage, index: int, sweep: PageSweep) -> None:
            lines = await keeper.sort_out(page, index)
            more = edge(frontier) if way == "recent" else {}
            await self._book.keep(
                lines,
                way=way,
                place=sweep.place,
                drifted=sweep.drifted,
                step=keeper.step,
                known=keeper.known,
                **more,
            )

        return accept


def _is_done(sweep: PageSweep, *, known: int, fresh: int, first: bool) -> bool:
    total = sweep.place.total
    if not sweep.settled:
        return False
    if sweep.drifted:
        # What is missing may have hidden once more: the count must speak for it as well.
        return not first and fresh == 0 and (total is None or known >= total)
    return known == total or (not first and fresh == 0)


def _about_sort(error: BadRequestError) -> bool:
    return not error.invalid_params or any(param.name.startswith("sort_") for param in error.invalid_params)
