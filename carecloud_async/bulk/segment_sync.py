"""Bring the members of a segment in line with a source: read them, write the difference, and read them again.

A customer is in a segment or is not, so that a call whose answer was lost needs no journal: the members that are read
afterwards show what it did, and what is missing is sent again.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from attrs import field, frozen

from carecloud_async._base.runtime.clock import doubled
from carecloud_async._base.runtime.task_groups import run_all
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.export.errors import disk_errors
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.errors import BadSourceError, BulkWriteError, UnknownColumnError
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.finding import Finder, FoundByKey
from carecloud_async.bulk.options import column_map
from carecloud_async.bulk.outcome import OUTCOME_COLUMNS, UNREADABLE
from carecloud_async.bulk.results import Rows, outcome_row, require_place, with_outcome, write_rows
from carecloud_async.bulk.run import find_key
from carecloud_async.bulk.sources import open_source
from carecloud_async.bulk.sources.source import RowSource, row_json
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    CareCloudError,
    ConfigurationError,
    PermissionDeniedError,
)
from carecloud_async.fixes import ALLOW_EMPTY, ALLOW_SHRINK, ALLOW_UNREADABLE, Fix

__all__ = ["Segment", "SegmentSyncOptions", "SegmentSyncReport", "sync"]

Mode = Literal["add", "remove", "mirror"]
_MODES: Final = ("add", "remove", "mirror")

#: Rows whose customers are looked up together.
_TOGETHER: Final = 450
#: How often at most the difference is written, and a list that contradicts its own total is read.
_PASSES, _READINGS = 4, 3
#: Seconds before what failed is sent again: first, then doubling.
_PAUSE: Final = 2.0


@frozen(kw_only=True)
class SegmentSyncOptions:
    """The options of a run; see `Segments.sync`."""

    mode: Mode
    match: str = "customer_id"
    encoding: str | None = None
    columns: Mapping[str, str] = field(factory=dict)
    allow_shrink: bool = False
    allow_empty: bool = False
    allow_unreadable: bool = False
    results: str | os.PathLike[str] | None = None
    dry_run: bool = False
    concurrency: int = 8

    def __attrs_post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ConfigurationError(f"mode is one of {', '.join(_MODES)}")


@frozen(kw_only=True)
class SegmentSyncReport:
    """The result of `Segments.sync`. In a dry run: what would happen.

    Attributes:
        rows: rows of the source.
        added: customers who were added to the segment.
        removed: customers who were removed from it.
        unchanged: customers of the source who were in the segment already, or with `remove` were not in it.
        unknown: rows whose key no customer has, or several have.
        refused: customers whom the server refuses to add or remove, or fails on again and again.
        members: members of the segment at the end.
        exact: whether the members that were read at the end agree with the total that the server gives.
        dry_run: whether nothing was written.
        reasons: why customers were refused, with their numbers; never an id.
        results: the file with a line for each row, if one was asked for.
    """

    rows: int
    added: int
    removed: int
    unchanged: int
    unknown: int
    refused: int
    members: int
    exact: bool
    dry_run: bool
    reasons: Mapping[str, int] = field(factory=dict)
    results: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every row led to one customer, and each of them is as the mode asks."""
        return self.exact and not self.unknown and not self.refused


@frozen(kw_only=True)
class Segment:
    """What a sync needs of a segment.

    Attributes:
        members: the list of its members.
        add, remove: add or remove the customer with an id.
    """

    members: Callable[[], Listing[Any]]
    add: Callable[[str], Awaitable[None]]
    remove: Callable[[str], Awaitable[None]]


async def sync(segment: Segment, customers: Family, source: Any, options: SegmentSyncOptions) -> SegmentSyncReport:
    """Bring a segment in line with a source; see `Segments.sync`.

    Raises:
        BulkWriteError: the source cannot be read, or the segment would lose too many members.
        CareCloudError: the server cannot be reached, or refuses the client.
    """
    if not options.dry_run:
        customers.caller.refuse_if_read_only("segments.sync")
    key = find_key(customers.facts, options.match)
    if key is None:
        raise BadSourceError("match= names the key of a customer, such as customer_id or email")
    if options.results is not None:
        await run_in_thread(partial(require_place, source, Path(options.results)))
    return await _Sync(segment, customers, key, options).run(source)


class _Sync:
    """One run. Ids and keys are in the form in which they are compared."""

    def __init__(self, segment: Segment, customers: Family, key: Key, options: SegmentSyncOptions) -> None:
        self._segment = segment
        self._customers = customers
        self._key = key
        self._options = options
        self._count = self._keyless = self._hidden = 0  # rows; those without a key; keys that cannot be looked up
        self._rows: list[tuple[int, bytes, str | None, str | None]] = []  # for the results: line, row, key, fault
        self._columns: dict[str, None] = {}
        self._customer_of: dict[str, str] = {}  # by key
        self._unknown: dict[str, str] = {}  # key → why its customer is not known
        self._shared = set[str]()  # customers who share the key of a row: it may mean any of them
        self._refused: dict[str, str] = {}  # customer → why
        self._spelled: dict[str, str] = {}  # customer → id as it is sent

    async def run(self, source: Any) -> SegmentSyncReport:
        options, mode = self._options, self._options.mode
        before, exact = await self._members()
        rows = await run_in_thread(partial(open_source, _as_rows(source, self._key), encoding=options.encoding))
        try:
            await self._find_customers(rows, before)
        finally:
            await run_in_thread_regardless(rows.close)
        wanted = {*self._customer_of.values()}
        add = wanted - before if mode != "remove" else set[str]()
        remove = {"add": set[str](), "remove": wanted & before, "mirror": before - wanted - self._shared}[mode]
        if mode == "mirror" and remove:
            self._check_shrinking(before, remove, exact=exact)
        after = (before | add) - remove
        if not options.dry_run:
            after, exact = await self._write(wanted, add, remove)
        gone = before - after
        removed = {"add": set[str](), "remove": gone & wanted, "mirror": gone - wanted}[mode]
        if options.results is not None:
            lines = self._results(before, after, removed if mode == "mirror" else ())
            names = [*(name for name in self._columns if name not in OUTCOME_COLUMNS), *OUTCOME_COLUMNS]
            with disk_errors(Path(options.results)):
                await run_in_thread(partial(write_rows, Path(options.results), lines, names, dialect=rows.dialect))
        return SegmentSyncReport(
            rows=self._count,
            added=len((after - before) & wanted) if mode != "remove" else 0,
            removed=len(removed),
            unchanged=len(wanted - before if mode == "remove" else wanted & before),
            unknown=len(self._unknown) + self._keyless,
            refused=len(self._refused),
            members=len(after),
            exact=exact,
            dry_run=options.dry_run,
            reasons=Counter(self._refused.values()),
            results=None if options.results is None else str(options.results),
        )

    def _check_shrinking(self, before: Collection[str], remove: Collection[str], *, exact: bool) -> None:
        """Check that a mirror removes only customers that the source certainly lacks, and not most of the segment.

        Raises:
            BulkWriteError: it may not be so.
        """
        options, problem, fix = self._options, "", ALLOW_SHRINK
        if not self._count:
            if not options.allow_empty:
                problem, fix = f"the source has no rows, and all {len(remove):,} members would be removed", ALLOW_EMPTY
        elif self._keyless and not options.allow_unreadable:
            problem = f"{self._keyless:,} rows have no key, and their customers would be removed"
            fix = ALLOW_UNREADABLE
        elif self._hidden and not options.allow_unreadable:
            rows = f"{self._hidden:,} rows have a key that cannot be looked up"
            problem, fix = f"{rows}, and their customers may be members", ALLOW_UNREADABLE
        elif not exact and not options.allow_shrink:
            problem = "the segment's list contradicts its own total: nothing is removed"
        elif len(remove) * 2 > len(before) and not options.allow_shrink:
            problem = f"{len(remove):,} of {len(before):,} members would be removed"
        if problem:
            raise BulkWriteError(problem, fix=fix)

    async def _members(self) -> tuple[set[str], bool]:
        """Read the ids of the members, and whether their number is the total that the server gives."""
        members = set[str]()
        for _ in range(_READINGS):
            page = await self._segment.members().fresh().page()
            members = {self._same(member.customer_id) for member in page.items if member.customer_id}
            if page.total_items is None or page.total_items == len(page.items):
                return members, True
        return members, False

    def _same(self, customer_id: str) -> str:
        """Return an id in the form in which ids are compared: lists may spell one id in upper or lower case."""
        same = customer_id.casefold()
        self._spelled.setdefault(same, customer_id)
        return same

    # the customers of the source

    async def _find_customers(self, rows: RowSource, members: Collection[str]) -> None:
        """Find the customers of the source. Members are known to exist and are not looked up by their ids."""
        columns = Columns(self._customers, renamed=column_map(self._options.columns), ignored=())
        paths = self._key.paths if rows.columns is None else [_path(columns, name) for name in rows.columns]
        missing = [path for path in self._key.paths if path not in paths]
        if missing:
            raise BadSourceError(
                f"{rows.label}: the key {self._key.name} needs the column {missing[0]}, which is missing",
                fix=Fix("name the key of the rows in {match}, or the column in {column}"),
            )
        finder = Finder(self._customers, self._key, concurrency=self._options.concurrency)
        asked: dict[str, tuple[str, ...]] = {}
        async with aclosing(rows.batches()) as batches:
            async for batch in batches:
                for row in batch:
                    self._count += 1
                    values = None if row.fault else self._key.values_in(dict(_flat(row.values, "", columns)))
                    key = None if values is None else self._key.text(values)
                    if self._options.results is not None:
                        self._columns.update(dict.fromkeys((*row.values, *([UNREADABLE] if row.text else []))))
                        self._rows.append((row.line or self._count, row_json(row), key, row.fault))
                    if values is None or key is None:
                        self._keyless += 1
                    elif self._key.by_id and key in members:
                        self._customer_of[key] = key
                    elif key not in self._customer_of and key not in self._unknown:
                        asked[key] = tuple(value.strip() for value in values)
                if len(asked) >= _TOGETHER:
                    await self._look_up(finder, asked)
                    asked = {}
        await self._look_up(finder, asked)

    async def _look_up(self, finder: Finder, asked: Mapping[str, tuple[str, ...]]) -> None:
        looked_up = await finder.find([*asked.values()]) if asked else FoundByKey()
        for key in asked:
            records = map(msgspec.json.decode, looked_up.of(key))
            ids = {
                self._same(customer_id)
                for record in records
                if (customer_id := self._customers.facts.id_of(record)) is not None
            }
            failure = looked_up.failure(key)
            reasons = (
                looked_up.refusal(key) if failure is None else (f"the key cannot be looked up: {failure.problem}",)
            )
            self._hidden += bool(reasons)
            if len(ids) == 1:
                (self._customer_of[key],) = ids
                continue
            self._shared |= ids
            several = f"{len(ids)} customers have this key" if ids else "no customer has this key"
            self._unknown[key] = "; ".join(reasons) or several

    # the difference

    async def _write(self, wanted: set[str], add: set[str], remove: set[str]) -> tuple[set[str], bool]:
        """Add and remove customers until the members that are read show it; return the members then."""
        pauses = [doubled(_PAUSE, number, longest=math.inf) for number in range(_PASSES - 1)]
        is_removal, too_many, refused = self._options.mode == "remove", remove, None
        while True:
            await self._send(add, self._segment.add)
            await self._send(remove, self._segment.remove)
            after, exact = await self._members()
            # Another program may have added or removed customers of the source since the first reading.
            add = set() if is_removal else wanted - after
            remove = (wanted if is_removal else too_many) & after
            # Also of a call that was sent again after its answer was lost, or that another program made first.
            self._refused = {
                customer: why for customer, why in self._refused.items() if customer in add or customer in remove
            }
            # A later refusal may be of a first call that had its effect, and that the list does not show yet.
            refused = {*self._refused} if refused is None else refused
            add, remove = add - refused, remove - refused
            if not add and not remove:
                return after, exact
            if not pauses:
                break
            await self._customers.clock.sleep(pauses.pop(0))
        unseen = dict.fromkeys(add | remove, "the server fails on it, or the segment does not show it")
        self._refused = unseen | self._refused
        return after, exact

    async def _send(self, ids: Iterable[str], call: Callable[[str], Awaitable[None]]) -> None:
        async def send(customer_id: str) -> None:
            try:
                await call(self._spelled[customer_id])
            except CareCloudError as error:
                if error.is_retryable or error.may_have_happened:
                    return  # the members that are read next show whether it took effect
                if not isinstance(error, ApiError) or isinstance(error, (AuthenticationError, PermissionDeniedError)):
                    raise
                reasons = dict.fromkeys(param.reason for param in error.invalid_params)
                self._refused[customer_id] = ", ".join(reasons) or f"status {error.status}"

        await run_all([partial(send, customer_id) for customer_id in sorted(ids)], width=self._options.concurrency)

    # the results

    def _results(self, before: Collection[str], after: Collection[str], others: Collection[str]) -> Rows:
        """Yield each row with what became of its customer, and a line for each of some others who were removed."""
        for line, source, key, fault in self._rows:
            yield from with_outcome(source, self._outcome(line, key, fault, before, after))
        for other in sorted(others):
            yield {}, outcome_row(None, "removed", self._spelled[other])

    def _outcome(
        self, line: int, key: str | None, fault: str | None, before: Collection[str], after: Collection[str]
    ) -> dict[str, Any]:
        if key is None or key in self._unknown:
            why = (fault or "the row has no key") if key is None else self._unknown[key]
            return outcome_row(line, "unknown", None, reasons=[why])
        customer = self._customer_of[key]
        spelled = self._spelled[customer]
        if customer in self._refused:
            return outcome_row(line, "refused", spelled, reasons=[self._refused[customer]])
        if (customer in before) == (customer in after):
            return outcome_row(line, "unchanged", spelled)
        return outcome_row(line, "added" if customer in after else "removed", spelled)


def _as_rows(source: Any, key: Key) -> Any:
    """Return plain ids as rows."""
    if isinstance(source, (list, tuple, set, frozenset)) and all(
        isinstance(customer_id, str) for customer_id in source
    ):
        return [{key.paths[-1]: customer_id} for customer_id in source]
    return source


def _flat(values: Mapping[str, Any], prefix: str, columns: Columns) -> Iterable[tuple[str, Any]]:
    """Yield the fields of a row, dotted, and their values; a column without a field cannot be part of the key."""
    for column, value in values.items():
        name = f"{prefix}{column}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.", columns)
        elif (path := _path(columns, name)) is not None:
            yield path, value


def _path(columns: Columns, name: str) -> str | None:
    try:
        return columns.place(name).path
    except UnknownColumnError:
        return None
