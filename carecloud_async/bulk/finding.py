"""Find the records of rows by their keys: look-ups of many keys a request, or one reading of the whole list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
from attrs import field, frozen

from carecloud_async.bulk.family import BulkTarget, Key
from carecloud_async.bulk.journal import Journal
from carecloud_async.errors import ApiError, BadRequestError, ExportError
from carecloud_async.runtime.parallel import run_all
from carecloud_async.runtime.threads import run_in_thread, run_in_thread_regardless

__all__ = ["Finder", "FoundByKey"]

#: Most bytes of the values in a URL: servers take lines of 8 kB by default, with the path and other parameters.
URL_BYTES: Final = 7000
#: Most values of one filter; the schema's 1,000, less the paging, since PHP drops the variables after the thousandth.
MAX_VALUES: Final = 900
#: For so few look-ups the size of the list is not asked for.
FEW_LOOKUPS: Final = 3


@frozen(kw_only=True, repr=False)
class FoundByKey:
    """What look-ups found, by keys in the form in which they are compared.

    Attributes:
        records: the records; keys without one are left out.
        refusals: why the server refuses to look a key up.
    """

    records: Mapping[str, Sequence[bytes]] = field(factory=dict)
    refusals: Mapping[str, tuple[str, ...]] = field(factory=dict)

    def of(self, key: str | None) -> Sequence[bytes]:
        """Return the records of a key."""
        return () if key is None else self.records.get(key, ())

    def refusal(self, key: str | None) -> tuple[str, ...]:
        """Return why a key cannot be looked up; empty if it can."""
        return () if key is None else self.refusals.get(key, ())


class Finder:
    """Finds records by one key.

    Args:
        target: the family.
        key: the key that names a record.
        concurrency: look-ups under way at once.
    """

    def __init__(self, target: BulkTarget, key: Key, *, concurrency: int) -> None:
        self._target = target
        self.key = key
        self._concurrency = concurrency

    async def find(self, keys: Sequence[tuple[str, ...]]) -> FoundByKey:
        """Look records up.

        Args:
            keys: the values of the keys.

        Raises:
            CareCloudError: the server is away or refuses the client.
        """
        found: dict[str, list[bytes]] = {}
        refusals: dict[str, tuple[str, ...]] = {}

        async def look(values: Sequence[tuple[str, ...]]) -> None:
            for one, record in await self._look_up(values, refusals):
                records = found.setdefault(self.key.text(one), [])
                if record not in records:
                    records.append(record)

        wanted = {self.key.text(values) for values in keys}
        in_groups = sorted(keys, key=lambda values: values[:-1])
        await run_all([partial(look, part) for part in self._parts(in_groups)], width=self._concurrency)
        return FoundByKey(records={key: one for key, one in found.items() if key in wanted}, refusals=refusals)

    async def _look_up(
        self, values: Sequence[tuple[str, ...]], refusals: dict[str, tuple[str, ...]]
    ) -> Sequence[tuple[tuple[str, ...], bytes]]:
        try:
            return await self._target.find(self.key, values)
        except BadRequestError as error:
            # One malformed value is enough for a server to refuse the whole look-up.
            if len(values) == 1:
                refusals[self.key.text(values[0])] = self._reasons(error)
                return ()
        except ApiError as error:
            if error.status != 414:
                raise
            if len(values) == 1:
                refusals[self.key.text(values[0])] = (f"{self.key.paths[-1]}: too long to be looked up",)
                return ()
        middle = len(values) // 2
        first = await self._look_up(values[:middle], refusals)
        return [*first, *await self._look_up(values[middle:], refusals)]

    def _reasons(self, error: BadRequestError) -> tuple[str, ...]:
        column = self.key.paths[-1]
        reasons = dict.fromkeys(one.reason for one in error.invalid_params)
        return tuple(f"{column}: {one}" for one in reasons) or (f"{column}: the server refuses to look it up",)

    def _parts(self, keys: Iterable[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
        """Divide keys into look-ups, each with keys of one group, such as one source."""
        most = MAX_VALUES if self.key.many else 1
        part: list[tuple[str, ...]] = []
        size = 0
        for one in keys:
            cost = self._cost(one)
            if part and (size + cost > URL_BYTES or len(part) >= most or one[:-1] != part[0][:-1]):
                yield part
                part, size = [], 0
            part.append(one)
            size += cost
        if part:
            yield part

    def _cost(self, values: Sequence[str]) -> int:
        return len(self.key.filter or "") + 8 + len(quote(values[-1], safe=""))

    # the whole list

    async def read_list_if_cheaper(self, journal: Journal, folder: Path) -> bool:
        """Read the whole list where that costs fewer requests than look-ups; return whether it was read.

        Args:
            journal: the rows; the records that are found are noted there.
            folder: where the list is kept meanwhile.
        """
        target, key = self._target, self.key
        if not key.in_record or target.measure is None or target.read_all is None:
            return False
        lookups = await run_in_thread(partial(self._count_lookups, journal))
        if lookups <= FEW_LOOKUPS:
            return False
        size = await target.measure()
        # A page more for each twenty: pages of an exact reading overlap, and its end is asked for twice.
        if size is None or -(-size.records // size.page) * 1.05 + 4 >= lookups:
            return False
        path, exact = folder / f".{journal.path.name}.list.jsonl", False
        try:
            with suppress(ExportError):  # such as a server that ignores `offset`: look-ups need no second page
                exact = await target.read_all(path)
            if exact:
                await run_in_thread(partial(self._note_list, journal, path))
        finally:
            await run_in_thread_regardless(partial(path.unlink, missing_ok=True))
        return exact  # a list that may lack a record is no ground for creating one

    def _count_lookups(self, journal: Journal) -> int:
        return sum(1 for _ in self._parts(journal.pending_keys()))

    def _note_list(self, journal: Journal, path: Path) -> None:
        journal.clear_listed()
        batch: list[tuple[str, bytes]] = []
        with path.open("rb") as lines:
            for line in lines:
                values = self.key.values_of(msgspec.json.decode(line))
                if all(values):
                    batch.append((self.key.text(values), line.rstrip(b"\n")))
                if len(batch) >= 1000:
                    journal.add_listed(batch)
                    batch = []
        journal.add_listed(batch)
