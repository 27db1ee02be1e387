"""Find the records of rows by their keys: look-ups of many keys a request, or one reading of the whole list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from attrs import field, frozen

from carecloud_async._base.runtime.secret_text import conceal, secret_text
from carecloud_async._base.runtime.task_groups import run_all
from carecloud_async._base.runtime.threads import run_in_thread, run_in_thread_regardless
from carecloud_async._calls.call.request import quoted_length
from carecloud_async.bulk.family import Family, FoundRecords, Key
from carecloud_async.bulk.journal import RowJournal
from carecloud_async.bulk.pages import TakenError, TooManyError, lines_of, read_all, read_some, sample
from carecloud_async.errors import (
    ApiError,
    BadRequestError,
    CareCloudError,
    ConfigurationError,
    ExportError,
    InterfaceError,
    NotFoundError,
    ResponseError,
    ServerError,
    TransportError,
)

if TYPE_CHECKING:
    from carecloud_async._lists.listings.listing import Listing

#: Most bytes of the values in a URL: servers take lines of 8 kB by default, with the path and other parameters.
URL_BYTES: Final = 7000
#: Most values of one filter; the schema's 1,000, less the paging, since PHP drops the variables after the thousandth.
MAX_VALUES: Final = 900
#: The most look-ups for which the size of the list is not requested.
FEW_LOOKUPS: Final = 3
#: A value that no record has, with digits for phones: a server that finds records by it ignores the filter.
NO_SUCH_KEY: Final = "carecloud-async.no-such-key.000000000000001"
_HIDDEN: Final = "the server finds a record by it that does not show it"
#: The status of a URL that is too long.
_TOO_LONG: Final = 414
#: How the look-up of one key fails on a server that answers others; or all look-ups, if the server is away.
_FAILURES: Final = (ServerError, TransportError, ResponseError)
#: What a server that is there may answer to the look-up of a key that no record has.
_ANSWERS: Final = (BadRequestError, NotFoundError, ConfigurationError, ExportError, TakenError, TooManyError)


class Witness:
    """A look-up that the server answers: made again, it shows whether the server is there.

    Attributes:
        look_up: makes the last one that was answered; `None` before the first answer.
    """

    def __init__(self, look_up: Callable[[], Awaitable[object]] | None = None) -> None:
        self.look_up: Callable[[], Awaitable[object]] | None = look_up


@frozen(kw_only=True, repr=False)
class FoundByKey:
    """The results of look-ups, by keys in the form in which they are compared.

    Attributes:
        records: the records; keys without one are left out.
        refusals: why a key cannot be looked up.
        failures: keys on whose look-up the server fails although it answers others; another try may succeed.
        read_at: when each key was looked up, on the monotonic clock.
    """

    records: Mapping[str, Sequence[bytes]] = field(factory=dict)
    refusals: Mapping[str, tuple[str, ...]] = field(factory=dict)
    failures: Mapping[str, CareCloudError] = field(factory=dict)
    read_at: Mapping[str, float] = field(factory=dict)

    def of(self, key: str | None) -> Sequence[bytes]:
        """Return the records of a key."""
        return () if key is None else self.records.get(key, ())

    def refusal(self, key: str | None) -> tuple[str, ...]:
        """Return why a key cannot be looked up; empty if it can."""
        return () if key is None else self.refusals.get(key, ())

    def failure(self, key: str | None) -> CareCloudError | None:
        """Return how the look-up of a key failed; `None` if it did not."""
        return None if key is None else self.failures.get(key)


class Finder:
    """Finds records of a family by one key.

    Args:
        key: the key that names a record.
        concurrency: look-ups under way at once.
        witness: a look-up of such records that was answered; finders for several parents may share it.
    """

    def __init__(self, family: Family, key: Key, *, concurrency: int, witness: Witness | None = None) -> None:
        self._family = family
        self.key: Key = key
        self._concurrency = concurrency
        self._filters: bool | None = None
        self._witness = Witness() if witness is None else witness
        self._reads_list = key.needs_list or (key.by_id and key.filter is None and family.get is None)
        self._most = MAX_VALUES if key.many or self._reads_list else 1

    async def find(self, keys: Sequence[tuple[str, ...]]) -> FoundByKey:
        """Look records up.

        The keys of a look-up on which the server fails are looked up in halves, down to the ones at fault.

        Args:
            keys: the values of the keys.

        Raises:
            CareCloudError: the server cannot be reached, answers no look-up, or refuses the client.
        """
        read_at: dict[str, float] = {}
        by_key: dict[str, list[bytes]] = {}
        refusals: dict[str, tuple[str, ...]] = {}
        failures: dict[str, CareCloudError] = {}
        keys = conceal(keys)
        texts = {values: secret_text(self.key.text(values)) for values in keys}
        wanted = {*texts.values()}

        async def look(part: Sequence[tuple[str, ...]]) -> None:
            read_at.update(dict.fromkeys([texts[values] for values in part], self._family.clock.monotonic()))
            for key_values, record in await self._look_up(part, refusals, failures):
                text = self.key.text(key_values)
                records = by_key.setdefault(text, []) if text in wanted else []
                # Records without an id may be equal, such as operations on points of one moment: they are two.
                if self._family.facts.id_field is None or record not in records:
                    records.append(record)

        in_groups = sorted(keys, key=lambda values: values[:-1])
        parts = [in_groups] if self._reads_list else [*self._parts(in_groups)]
        await run_all([partial(look, part) for part in parts], width=self._concurrency)
        # A list that changes while it is read was answered.
        error = next((failure for failure in failures.values() if isinstance(failure, _FAILURES)), None)
        if error is not None and not await self._is_there(keys[0], in_doubt=len(wanted) > 1):
            raise error
        return FoundByKey(records=by_key, refusals=refusals, failures=failures, read_at=read_at)

    async def _look_up(
        self,
        values: Sequence[tuple[str, ...]],
        refusals: dict[str, tuple[str, ...]],
        failures: dict[str, CareCloudError],
    ) -> Sequence[tuple[tuple[str, ...], bytes]]:
        """Look values up, in halves where they cannot be looked up together."""
        is_alone = len(values) == 1 or self._reads_list
        reasons: tuple[str, ...] = ()
        try:
            return await self._find(values)
        except TooManyError as error:
            self._most = max(1, min(self._most, error.received))
        except BadRequestError as error:
            # One malformed value is enough for a server to refuse the whole look-up.
            reasons = self._reasons(error)
        except TakenError as error:
            reasons = (f"{self.key.paths[-1]}: {error}",)
        except InterfaceError:
            raise
        except (ConfigurationError, ExportError) as error:
            if error.is_retryable and is_alone:
                failures.update({self.key.text(value): error for value in values})
                return ()
            reasons = (f"{self.key.paths[-1]}: {error.problem}",)
        except _FAILURES as error:
            if not await self._is_there(values[0]):
                raise
            if is_alone:
                failures.update({self.key.text(value): error for value in values})
                return ()
        except ApiError as error:
            if error.status != _TOO_LONG:
                raise
            reasons = (f"{self.key.paths[-1]}: too long to be looked up",)
        if is_alone:
            refusals.update({self.key.text(value): reasons for value in values})
            return ()
        middle = len(values) // 2
        first = await self._look_up(values[:middle], refusals, failures)
        return [*first, *await self._look_up(values[middle:], refusals, failures)]

    async def _is_there(self, key: Sequence[str], *, in_doubt: bool = False) -> bool:
        """Return whether the server answers another look-up now than the one on which it failed.

        Args:
            key: the values of a key on which it failed.
            in_doubt: whether only a look-up that was answered before proves it. A server may answer what it need not
                search for, and nothing else.
        """
        again = self._witness.look_up
        if again is None and in_doubt:
            return False
        try:
            await (self._search([(NO_SUCH_KEY,) * len(key)]) if again is None else again())
        except _FAILURES:
            return False
        except _ANSWERS:
            return True
        return True

    async def _find(self, values: Sequence[tuple[str, ...]]) -> FoundRecords:
        records = await self._search(values)
        self._witness.look_up = partial(self._search, values[:1])
        if await self._may_be_hidden(values, records):
            raise TakenError(_HIDDEN)
        return records

    async def _search(self, values: Sequence[tuple[str, ...]]) -> FoundRecords:
        key, family = self.key, self._family
        if key.find is not None:
            return await key.find(family, values)
        if key.by_id and key.filter is None and family.get is not None:
            return [(value, record) for value in values if (record := await family.get(value[-1])) is not None]
        filters = {}
        if key.filter is not None:
            texts = [secret_text(value[-1].strip()) for value in values]
            filters = {
                key.filter: texts if key.many else texts[0],
                **dict(zip(key.paths[:-1], values[0], strict=False)),
            }
        lines = await read_some(self._list(**filters), alone=len(values) == 1 or self._reads_list)
        return [(key.values_of(msgspec.json.decode(line)), line) for line in lines]

    def _list(self, **filters: Any) -> Listing[Any]:
        assert self._family.list is not None  # noqa: S101  (no key of a family without a list needs one)
        return self._family.list(**filters)

    async def _may_be_hidden(self, values: Sequence[tuple[str, ...]], records: FoundRecords) -> bool:
        """Return whether a key that seems to be free may be that of a record whose key is not shown as it was sent.

        Users may lack the right to see e-mails, and servers may mask or rewrite them. A filter of one value may look
        for parts of values: a record that shows another value is another record then.
        """
        key = self.key
        if not records or self._reads_list or (key.by_id and key.filter is None):
            return False
        wanted, shown = set(map(key.text, values)), {key.text(record_values) for record_values, _ in records}
        is_odd = any(
            not all(record_values) or (key.many and key.text(record_values) not in wanted)
            for record_values, _ in records
        )
        if not is_odd or wanted <= shown:
            return False
        if self._filters is None:
            try:
                self._filters = not await self._search([(*values[0][:-1], NO_SUCH_KEY)])
            except BadRequestError:
                self._filters = True
        return self._filters

    def _reasons(self, error: BadRequestError) -> tuple[str, ...]:
        column = self.key.paths[-1]
        reasons = dict.fromkeys(param.reason for param in error.invalid_params)
        return tuple(f"{column}: {reason}" for reason in reasons) or (f"{column}: the server refuses to look it up",)

    def _parts(self, keys: Iterable[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
        """Divide keys into look-ups, each with keys of one group, such as one source."""
        part: list[tuple[str, ...]] = []
        size = 0
        for key in keys:
            cost = self._cost(key[-1])
            if part and (size + cost > URL_BYTES or len(part) >= self._most or key[:-1] != part[0][:-1]):
                yield part
                part, size = [], 0
            part.append(key)
            size += cost
        if part:
            yield part

    def _cost(self, value: str) -> int:
        return len(self.key.filter or "") + 8 + quoted_length(value)

    # the whole list

    async def read_list_if_cheaper(self, journal: RowJournal) -> bool:
        """Read the whole list where that costs fewer requests than look-ups; return whether it was read.

        Args:
            journal: the rows; the records that are found are noted there. The list is kept beside it meanwhile.
        """
        key, facts = self.key, self._family.facts
        if not key.in_record or not facts.can_export:
            return False
        waiting, size = await run_in_thread(journal.waiting_keys)
        lookups = max(-(-waiting // self._most), -(-(size + waiting * self._cost("")) // URL_BYTES))
        if lookups <= FEW_LOOKUPS:
            return False
        if not self._reads_list:
            page, size = await sample(self._list())
            # A page more for each twenty: pages of an exact reading overlap, and its end is asked for twice.
            if page.total_items is None or -(-page.total_items // size) * 1.05 + 4 >= lookups:
                return False
        path = journal.path.with_name(f".{journal.path.name}.list.jsonl")
        try:
            with suppress(ExportError):  # such as a server that ignores `offset`: look-ups need no second page
                await read_all(self._list(), path)
                await run_in_thread(partial(self._note_list, journal, path))
                return True
        finally:
            await run_in_thread_regardless(partial(path.unlink, missing_ok=True))
        return False  # an incomplete list does not prove that a record is missing

    def _note_list(self, journal: RowJournal, path: Path) -> None:
        journal.clear_listed()
        batch: list[tuple[str, bytes]] = []
        for line in lines_of(path):
            values = self.key.values_of(msgspec.json.decode(line))
            if all(values):
                batch.append((self.key.text(values), line))
            if len(batch) >= 1000:
                journal.add_listed(batch)
                batch = []
        journal.add_listed(batch)
