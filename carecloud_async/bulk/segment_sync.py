"""Bring the members of a segment in line with a source: read them, write the difference, and read them again.

A customer is in a segment or is not, so that a call whose answer was lost needs no journal: the members that are read
afterwards show what it did, and what is missing is sent again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final, Literal

import msgspec
from attrs import field, frozen

from carecloud_async._base.runtime.clock import doubled
from carecloud_async._base.runtime.secret_text import conceal, secret_text
from carecloud_async._base.runtime.task_groups import run_all
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.columns import Columns
from carecloud_async.bulk.errors import BadSourceError, BulkWriteError, UnknownColumnError
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.finding import Finder
from carecloud_async.bulk.options import column_map
from carecloud_async.bulk.run import find_key
from carecloud_async.bulk.sending import is_about_the_row
from carecloud_async.bulk.sources import open_source
from carecloud_async.bulk.sources.source import RowSource
from carecloud_async.errors import ApiError, CareCloudError, ConfigurationError
from carecloud_async.fixes import ALLOW_SHRINK, Fix

__all__ = ["SegmentSync", "SegmentSyncReport"]

Mode = Literal["add", "remove", "mirror"]
_MODES: Final = ("add", "remove", "mirror")

#: Keys that are looked up together.
_TOGETHER: Final = 450
#: How often at most the difference is written, and a list that contradicts its own total is read.
_PASSES, _READINGS = 4, 3
_CONTRADICTS: Final = "the segment's list contradicts its own total: nothing is removed"
#: Seconds before what failed is sent again: first, and at most.
_PAUSE, _LONGEST = 2.0, 60.0


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
        reasons: why rows are unknown and customers refused, each with the lines of their rows, none for members whom a
            mirror cannot remove; never an id.
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
    reasons: Mapping[str, Sequence[int]] = field(factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every row led to one customer, and each of them is as the mode asks."""
        return self.exact and not self.unknown and not self.refused


@frozen(kw_only=True, repr=False)
class _Found:
    """The customers of a key.

    Attributes:
        customers: their ids. If there are several, a row with the key may mean any of them.
        reason: why the key does not name one customer.
        is_hidden: whether its customer may be any.
    """

    customers: Sequence[str] = ()
    reason: str = ""
    is_hidden: bool = False

    @property
    def customer(self) -> str | None:
        """The customer whom the key names; `None` if it names none, or several."""
        return self.customers[0] if len(self.customers) == 1 else None


#: The key of a row without one, and its customers.
_NO_KEY: Final = ""
_KEYLESS: Final = _Found(reason="the row has no key, or cannot be read", is_hidden=True)


@frozen(kw_only=True, repr=False)
class SegmentSync:
    """One synchronization. Ids and keys are in the form in which they are compared.

    Attributes:
        members: returns the list of the members.
        add, remove: add or remove the customer with an id.
        customers: the family of the customers.
        mode, match, encoding, columns, allow_shrink, dry_run, concurrency: see `Segments.sync`.
    """

    members: Callable[[], Listing[Any]]
    add: Callable[[str], Awaitable[None]]
    remove: Callable[[str], Awaitable[None]]
    customers: Family
    mode: Mode
    match: str
    encoding: str | None
    columns: Mapping[str, str]
    allow_shrink: bool
    dry_run: bool
    concurrency: int

    _rows: list[tuple[int, str]] = field(factory=list, init=False)  # line and key
    _found: dict[str, _Found] = field(factory=lambda: {_NO_KEY: _KEYLESS}, init=False)  # by key
    _refused: dict[str, str] = field(factory=dict, init=False)  # customer → why
    _spelled: dict[str, str] = field(factory=dict, init=False)  # customer → id as it is sent

    async def run(self, source: Any) -> SegmentSyncReport:
        """Bring the segment in line with a source; see `Segments.sync`."""
        if self.mode not in _MODES:
            raise ConfigurationError(f"mode is one of {', '.join(_MODES)}")
        if not self.dry_run:
            self.customers.caller.refuse_if_read_only("segments.sync")
        key = find_key(self.customers, self.match)
        if key is None:
            raise BadSourceError("match= names the key of a customer, such as customer_id or email")
        rows = await run_in_thread(partial(open_source, _as_rows(source, key), encoding=self.encoding))
        try:
            before, exact = await self._read_members()
            await self._find_customers(rows, key, before)
        finally:
            await run_in_thread_regardless(rows.close)
        wanted = {of_key.customer for of_key in self._found.values() if of_key.customer is not None}
        shared = {customer for of_key in self._found.values() for customer in of_key.customers} - wanted
        missing = set[str]() if self.mode == "remove" else wanted
        unwanted = {"add": set[str](), "remove": wanted, "mirror": before - wanted - shared}[self.mode]
        if self.mode == "mirror" and unwanted and not self.allow_shrink:
            self._check_shrinking(len(before), len(unwanted), exact=exact)
        after = (before | missing) - unwanted
        if not self.dry_run:
            after, exact = await self._write(before, missing, unwanted)
        removed = (before - after) & unwanted
        return SegmentSyncReport(
            rows=len(self._rows),
            added=len((after - before) & missing),
            removed=len(removed),
            unchanged=len(wanted - before if self.mode == "remove" else wanted & before),
            unknown=sum(self._found[key].customer is None for _, key in self._rows),
            refused=len(self._refused),
            members=len(after),
            exact=exact,
            dry_run=self.dry_run,
            reasons=self._reasons(),
        )

    def _check_shrinking(self, before: int, removed: int, *, exact: bool) -> None:
        """Check that a mirror removes only customers that the source certainly lacks, and not most of the segment.

        Raises:
            BulkWriteError: it may not be so.
        """
        hidden = sum(self._found[key].is_hidden for _, key in self._rows)
        for is_so, problem in (
            (hidden, f"{hidden:,} rows have no key, or one that cannot be looked up: their customers may be members"),
            (not exact, _CONTRADICTS),
            (removed * 2 > before, f"{removed:,} of {before:,} members would be removed"),
        ):
            if is_so:
                raise BulkWriteError(problem, fix=ALLOW_SHRINK)

    async def _read_members(self) -> tuple[set[str], bool]:
        """Read the ids of the members, and whether their number is the total that the server gives."""
        members = set[str]()
        for _ in range(_READINGS):
            page = await self.members().fresh().page()
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

    async def _find_customers(self, rows: RowSource, key: Key, members: Collection[str]) -> None:
        """Find the customers of the source; members are known to exist and are not looked up by their ids."""
        columns = Columns(self.customers, renamed=column_map(self.columns), ignored=())
        if rows.columns is not None:
            paths = dict(_fields(dict.fromkeys(rows.columns), columns))
            for path in key.paths:
                if path not in paths:
                    raise BadSourceError(
                        f"{rows.label}: the key {key.name} needs the column {path}, which is missing",
                        fix=Fix("name the key of the rows in {match}, or the column in {column}"),
                    )
        finder = Finder(self.customers, key, concurrency=self.concurrency)
        asked: dict[str, tuple[str, ...]] = {}
        async with aclosing(rows.batches()) as batches:
            async for batch in batches:
                for row in batch:
                    values = None if row.fault else conceal(key.values_in(dict(_fields(row.values, columns))))
                    text = _NO_KEY if values is None else secret_text(key.text(values))
                    self._rows.append((row.line or len(self._rows) + 1, text))
                    if values is None or text in self._found:
                        continue
                    if key.by_id and text in members:
                        self._found[text] = _Found(customers=(text,))
                    else:
                        asked[text] = conceal(tuple(value.strip() for value in values))
                if len(asked) >= _TOGETHER:
                    await self._look_up(finder, asked)
                    asked = {}
        if asked:
            await self._look_up(finder, asked)

    async def _look_up(self, finder: Finder, asked: Mapping[str, tuple[str, ...]]) -> None:
        id_of = self.customers.facts.id_of
        looked_up = await finder.find([*asked.values()])
        for key in asked:
            records = map(msgspec.json.decode, looked_up.of(key))
            ids = {self._same(customer_id) for record in records if (customer_id := id_of(record)) is not None}
            reasons = looked_up.refusal(key)
            if (failure := looked_up.failure(key)) is not None:
                reasons = (f"the key cannot be looked up: {failure.problem}",)
            several = f"{len(ids)} customers have this key" if ids else "no customer has this key"
            self._found[key] = _Found(customers=[*ids], reason="; ".join(reasons) or several, is_hidden=bool(reasons))

    def _reasons(self) -> dict[str, list[int]]:
        """Return why rows are unknown and customers refused, with the lines of their rows."""
        reasons: dict[str, list[int]] = {}
        for line, key in self._rows:
            of_key = self._found[key]
            reason = of_key.reason if of_key.customer is None else self._refused.get(of_key.customer)
            if reason is not None:
                reasons.setdefault(reason, []).append(line)
        for reason in self._refused.values():  # also of members whom a mirror cannot remove: no row names them
            reasons.setdefault(reason, [])
        return reasons

    # the difference

    async def _write(self, before: set[str], missing: set[str], unwanted: set[str]) -> tuple[set[str], bool]:
        """Add and remove customers until the members that are read show it; return the members then.

        Another program may add or remove customers of the source meanwhile.
        """
        add, remove, refused = missing - before, unwanted & before, None
        after, exact = before, False
        for number in range(_PASSES):
            if number:
                await self.customers.clock.sleep(doubled(_PAUSE, number - 1, longest=_LONGEST))
            await self._send(add, self.add)
            await self._send(remove, self.remove)
            after, exact = await self._read_members()
            add, remove = missing - after, unwanted & after
            # Also of a call that was sent again after its answer was lost, or that another program made first.
            for customer in self._refused.keys() - add - remove:
                del self._refused[customer]
            # A later refusal may be of a first call that had its effect, and that the list does not show yet.
            refused = {*self._refused} if refused is None else refused
            add, remove = add - refused, remove - refused
            if not add and not remove:
                break
        for customer in add | remove:
            self._refused.setdefault(customer, "the server fails on it, or the segment does not show it")
        return after, exact

    async def _send(self, ids: Iterable[str], call: Callable[[str], Awaitable[None]]) -> None:
        async def send(customer_id: str) -> None:
            try:
                await call(self._spelled[customer_id])
            except CareCloudError as error:
                if error.is_retryable or error.may_have_happened:
                    return  # the members that are read next show whether it took effect
                if not isinstance(error, ApiError) or not is_about_the_row(error):
                    raise
                reasons = dict.fromkeys(param.reason for param in error.invalid_params)
                self._refused[customer_id] = ", ".join(reasons) or f"status {error.status}"

        await run_all([partial(send, customer_id) for customer_id in sorted(ids)], width=self.concurrency)


def _as_rows(source: Any, key: Key) -> Any:
    """Return plain ids as rows."""
    if isinstance(source, (list, tuple, set, frozenset)) and all(
        isinstance(customer_id, str) for customer_id in source
    ):
        return [{key.paths[-1]: customer_id} for customer_id in source]
    return source


def _fields(values: Mapping[str, Any], columns: Columns, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a row, dotted, and their values; a column without a field cannot be part of the key."""
    for column, value in values.items():
        name = f"{prefix}{column}"
        if isinstance(value, Mapping):
            yield from _fields(value, columns, f"{name}.")
            continue
        with suppress(UnknownColumnError):
            yield columns.place(name).path, value
