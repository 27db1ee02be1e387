"""Bring the members of a segment in line with a source: read them, write the difference, and read them again.

A customer is in a segment or is not, so that a call whose answer was lost needs no journal: the members that are read
afterwards show what it did, and what is missing is sent again.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from attrs import field, frozen

from carecloud_async._base.runtime.task_groups import run_all
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.column_map import column_map
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.errors import BadSourceError, BulkWriteError, UnknownColumnError
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.finding import Finder, FoundByKey
from carecloud_async.bulk.results import require_place
from carecloud_async.bulk.run import find_key
from carecloud_async.bulk.segment_results import RowLog, RowOutcome
from carecloud_async.bulk.sources import open_source
from carecloud_async.bulk.sources.source import RowSource, SourceRow
from carecloud_async.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
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
#: Errors that may be temporary. Others are about the client, or about one customer.
_PASSING: Final = (OutcomeUnknownError, TransportError, ResponseError, ServerError, RateLimitError)


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
    results = None if options.results is None else Path(options.results)
    if results is None:
        return await _Sync(segment, customers, key, options).run(source)
    await run_in_thread(partial(require_place, source, results))
    log = await run_in_thread(partial(RowLog, results))
    try:
        return await _Sync(segment, customers, key, options, log).run(source)
    finally:
        await run_in_thread_regardless(log.close)


class _Sync:
    def __init__(
        self, segment: Segment, customers: Family, key: Key, options: SegmentSyncOptions, log: RowLog | None = None
    ) -> None:
        self._segment = segment
        self._log = log
        self._customers = customers
        self._key = key
        self._options = options
        self._rows = self._unreadable = 0
        self._customer_of: dict[str, str] = {}  # key of a row → id as it is compared; empty if it is not known
        self._why: dict[str, str] = {}  # key of a row → why its customer is not known
        self._refused: dict[str, str] = {}
        self._shared = set[str]()  # customers who share the key of a row: it may mean any of them
        self._unfound = set[str]()  # keys of rows that no look-up found
        self._hidden = set[str]()  # those of them that cannot be looked up, or whose customer the server does not show
        self._reads_members = self._key.in_record and not self._key.by_id  # whether members may show keys of rows
        self._keyless = set[str]()  # members whose own records do not show their keys
        self._spelled: dict[str, str] = {}  # id as it is compared → id as it is sent

    async def run(self, source: Any) -> SegmentSyncReport:
        before, exact = await self._members()
        rows = await run_in_thread(partial(open_source, _as_rows(source, self._key), encoding=self._options.encoding))
        try:
            wanted = await self._wanted(rows, before)
        finally:
            await run_in_thread_regardless(rows.close)
        mode = self._options.mode
        if mode == "mirror":
            wanted |= await self._named_by(before - wanted - self._shared)
        add = wanted - before if mode != "remove" else set[str]()
        remove = {"add": set[str](), "remove": wanted & before, "mirror": before - wanted - self._shared}[mode]
        if mode == "mirror":
            self._check_shrinking(before, remove, exact=exact)
        if self._options.dry_run:
            after = (before | add) - remove
        else:
            after, exact = await self._write(wanted, add, remove)
        if self._log is not None:
            outcome_of = partial(self._outcome_of, before=before, after=after)
            gone = sorted((before - after) - wanted) if mode == "mirror" else ()
            others = [RowOutcome(outcome="removed", customer_id=self._spelled[one]) for one in gone]
            await run_in_thread(partial(self._log.write, outcome_of, others, rows.dialect))
        return self._report(wanted, before, after, exact=exact)

    def _outcome_of(self, key: str | None, fault: str | None, *, before: set[str], after: set[str]) -> RowOutcome:
        """Return what became of the customer of a row, given its key and why it cannot be read."""
        if key is None:
            return RowOutcome(outcome="unknown", reasons=(fault or "the row has no key",))
        customer = self._customer_of[key]
        if not customer:
            return RowOutcome(outcome="unknown", reasons=(self._why[key],))
        one = partial(RowOutcome, customer_id=self._spelled[customer])
        if customer in self._refused:
            return one(outcome="refused", reasons=(self._refused[customer],))
        if (customer in before) == (customer in after):
            return one(outcome="unchanged")
        return one(outcome="added" if customer in after else "removed")

    def _check_shrinking(self, before: Collection[str], remove: Collection[str], *, exact: bool) -> None:
        """Check that a mirror removes only customers that the source certainly lacks, and not most of the segment.

        Raises:
            BulkWriteError: it may not be so.
        """
        options = self._options
        if not remove:
            return
        if not self._rows:
            if not options.allow_empty:
                problem = f"the source has no rows, and all {len(remove):,} members would be removed"
                raise BulkWriteError(problem, fix=ALLOW_EMPTY)
            return
        if not options.allow_unreadable:
            if self._unreadable:
                problem = f"{self._unreadable:,} rows have no key, and their customers would be removed"
                raise BulkWriteError(problem, fix=ALLOW_UNREADABLE)
            if self._hidden and (self._keyless.intersection(remove) or not self._reads_members):
                rows = f"{len(self._hidden):,} rows have a key that cannot be looked up"
                raise BulkWriteError(f"{rows}, and their customers may be members", fix=ALLOW_UNREADABLE)
        if not options.allow_shrink:
            if not exact:
                problem = "the segment's list contradicts its own total: nothing is removed"
                raise BulkWriteError(problem, fix=ALLOW_SHRINK)
            if len(remove) * 2 > len(before):
                problem = f"{len(remove):,} of {len(before):,} members would be removed"
                raise BulkWriteError(problem, fix=ALLOW_SHRINK)

    def _report(self, wanted: Collection[str], before: set[str], after: set[str], *, exact: bool) -> SegmentSyncReport:
        reasons: dict[str, int] = {}
        for reason in self._refused.values():
            reasons[reason] = reasons.get(reason, 0) + 1
        gone = before - after
        gone = gone & {*wanted} if self._options.mode == "remove" else gone - {*wanted}
        as_asked = [one for one in wanted if (one in before) == (self._options.mode != "remove")]
        return SegmentSyncReport(
            rows=self._rows,
            added=len((after - before) & {*wanted}) if self._options.mode != "remove" else 0,
            removed=len(gone) if self._options.mode != "add" else 0,
            unchanged=len(as_asked),
            unknown=sum(not one for one in self._customer_of.values()) + self._unreadable,
            refused=len(self._refused),
            members=len(after),
            exact=exact,
            dry_run=self._options.dry_run,
            reasons=reasons,
            results=None if self._options.results is None else str(self._options.results),
        )

    async def _members(self) -> tuple[set[str], bool]:
        """Read the ids of the members, and whether their number is the total that the server gives.

        A segment without members is believed to be so when it is read a second time.
        """
        found, was_empty = set[str](), False
        for _ in range(_READINGS):
            page = await self._segment.members().fresh().page()
            found = {self._same(one.customer_id) for one in page.items if one.customer_id}
            if page.total_items is None or page.total_items == len(page.items):
                if found or was_empty:
                    return found, True
                was_empty = True
        return found, False

    def _same(self, customer_id: str) -> str:
        """Return an id in the form in which ids are compared: lists may spell one id in upper or lower case."""
        same = customer_id.casefold()
        self._spelled.setdefault(same, customer_id)
        return same

    # the customers of the source

    async def _wanted(self, rows: RowSource, members: Collection[str]) -> set[str]:
        """Return the ids of the source's customers. Members are known to exist and are not looked up by their ids."""
        columns = Columns(self._customers, renamed=column_map(self._options.columns), ignored=())
        self._require_key(rows, columns)
        finder = Finder(self._customers, self._key, concurrency=self._options.concurrency)
        known = self._customer_of
        async with aclosing(self._keys(rows, columns)) as groups:
            async for group in groups:
                new = {text: values for values in group if (text := self._key.text(values)) not in known}
                known.update({text: text if self._key.by_id and text in members else "" for text in new})
                asked = [values for text, values in new.items() if not known[text]]
                if not asked:
                    continue
                found = await finder.find(asked)
                for text in map(self._key.text, asked):
                    self._note(text, found)
        return {one for one in known.values() if one}

    def _note(self, key: str, found: FoundByKey) -> None:
        """Note whose key it is, or why that is not known."""
        ids = {self._same(str(one)) for record in found.of(key) if (one := self._id_of(record)) is not None}
        if len(ids) == 1:
            (self._customer_of[key],) = ids
            return
        self._shared |= ids
        self._why[key] = f"{len(ids)} customers have this key" if ids else "no customer has this key"
        if not ids:
            self._unfound.add(key)
        failure = found.failure(key)
        reasons = found.refusal(key) if failure is None else (f"the key cannot be looked up: {failure.problem}",)
        if reasons:
            self._hidden.add(key)
            self._why[key] = "; ".join(reasons)

    def _id_of(self, record: bytes) -> str | None:
        return self._customers.facts.id_of(msgspec.json.decode(record))

    async def _named_by(self, members: Collection[str]) -> set[str]:
        """Return those members whose own records have the key of a row that no look-up found: its filter may lag.

        A card's number is no field of its customer, so that it is not looked for here.
        """
        named: dict[str, set[str]] = {}

        async def read(customer_id: str) -> None:
            record = await self._customers.get(self._spelled[customer_id])
            text = "" if record is None else self._key.text(self._key.values_of(msgspec.json.decode(record)))
            if record is not None and not text:
                self._keyless.add(customer_id)
            if text in self._unfound:
                named.setdefault(text, set()).add(customer_id)

        if self._unfound and self._reads_members:
            await run_all([partial(read, one) for one in sorted(members)], width=self._options.concurrency)
        certain = {text: next(iter(customers)) for text, customers in named.items() if len(customers) == 1}
        self._customer_of.update(certain)
        self._hidden -= named.keys()
        self._shared |= {one for customers in named.values() if len(customers) > 1 for one in customers}
        return {*certain.values()}

    def _require_key(self, rows: RowSource, columns: Columns) -> None:
        if rows.columns is None:
            return
        paths = {_path(columns, name) for name in rows.columns}
        missing = [path for path in self._key.paths if path not in paths]
        if missing:
            raise BadSourceError(
                f"{rows.label}: the key {self._key.name} needs the column {missing[0]}, which is missing",
                fix=Fix("name the key of the rows in {match}, or the column in {column}"),
            )

    async def _keys(self, rows: RowSource, columns: Columns) -> AsyncGenerator[list[tuple[str, ...]], None]:
        """Yield the keys of the rows, some hundred at a time."""
        group: list[tuple[str, ...]] = []
        async with aclosing(rows.batches()) as batches:
            async for batch in batches:
                logged: list[tuple[int, SourceRow, str | None]] = []
                for row in batch:
                    self._rows += 1
                    given = dict(_flat(row.values, "", columns))
                    values = None if row.fault is not None else self._key.values_in(given)
                    logged.append((self._rows, row, None if values is None else self._key.text(values)))
                    if values is None:
                        self._unreadable += 1
                    else:
                        group.append(tuple(one.strip() for one in values))
                if self._log is not None:
                    await run_in_thread(partial(self._log.add, logged))
                if len(group) >= _TOGETHER:
                    yield group
                    group = []
        if group:
            yield group

    # the difference

    async def _write(self, wanted: set[str], add: set[str], remove: set[str]) -> tuple[set[str], bool]:
        """Add and remove customers until the members that are read show it; return the members then."""
        pauses = [_PAUSE * 2**number for number in range(_PASSES - 1)]
        is_removal, too_many, refused = self._options.mode == "remove", remove, None
        while True:
            await self._send(add, self._segment.add)
            await self._send(remove, self._segment.remove)
            after, exact = await self._members()
            # Another program may have added or removed customers of the source since the first reading.
            add = set() if is_removal else wanted - after
            remove = (wanted if is_removal else too_many) & after
            # Also of a call that was sent again after its answer was lost, or that another program made first.
            self._refused = {one: why for one, why in self._refused.items() if one in add or one in remove}
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
        async def one(customer_id: str) -> None:
            try:
                await call(self._spelled[customer_id])
            except _PASSING:
                return  # the members that are read next show whether it took effect
            except (AuthenticationError, PermissionDeniedError):
                raise
            except ApiError as error:
                reasons = dict.fromkeys(one.reason for one in error.invalid_params)
                self._refused[customer_id] = ", ".join(reasons) or f"status {error.status}"

        await run_all([partial(one, customer_id) for customer_id in sorted(ids)], width=self._options.concurrency)


def _as_rows(source: Any, key: Key) -> Any:
    """Return plain ids as rows."""
    if isinstance(source, (list, tuple, set, frozenset)) and all(isinstance(one, str) for one in source):
        return [{key.paths[-1]: one} for one in source]
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
