"""The records of rows: look them up by their keys, and decide what each row does to its record."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio.lowlevel
import attrs
import msgspec

from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async.bulk.decide import decide
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.finding import Finder, FoundByKey
from carecloud_async.bulk.journal import RowJournal
from carecloud_async.bulk.machine import after_a_loss
from carecloud_async.bulk.options import BulkWriteOptions
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.parts import Decided, FailedLookUps, PartWrites
from carecloud_async.bulk.rows import RECORD, Plan, Write
from carecloud_async.bulk.sources.source import BATCH

#: The key for claims of records in families whose rows cannot name a record by its id.
_BY_ID: Final = Key(name="id", by_id=True)
_NOT_SHOWN: Final = "the record may have been written, and the key cannot show it, since it is written after the record"
_NO_KEY: Final = "the run was stopped while it was being sent, and the row has no key"


class RecordWrites:
    """The records of the rows of one run.

    Args:
        key: the key that names a record; `None` if every row is created.
        concurrency: look-ups under way at once.

    Attributes:
        parts: the parts of the rows.
        shows_lost_creates: whether the key shows what became of a create whose answer was lost.
    """

    def __init__(self, family: Family, *, key: Key | None, options: BulkWriteOptions, concurrency: int) -> None:
        self.parts: PartWrites = PartWrites.of(family, concurrency=concurrency)
        self._family = family
        self._key = key
        self._options = options
        self._finder = None if key is None else Finder(family, key, concurrency=concurrency)
        self._has_list = False
        # Of a row that the list does not have, only these are certain of more than that it has to be looked up.
        needs_list = key is not None and key.needs_list
        self._decides_unlisted = options.dry_run or options.mode == "update" or needs_list
        self.shows_lost_creates: bool = key is not None and (
            options.mode == "update" or not family.facts.is_written_later(key)
        )

    def claims(self, write: Write) -> list[str]:
        """Return the keys to be claimed before a write is looked up: those of a record's parts too."""
        own = [] if self._key is None or write.key is None else [self._key.claim(self._family.facts.family, write.key)]
        return [*own, *self.parts.claims(write)]

    def record_claim(self, write: Write, record_id: str) -> str:
        """Return the claim of a record that a write changes, which is the same whichever key found it."""
        facts = self.parts.family(write).facts
        by_id = next((key for key in facts.keys.values() if key.by_id), _BY_ID)
        return by_id.claim(facts.family, by_id.text((record_id,)))

    async def read_list_if_cheaper(self, journal: RowJournal) -> None:
        """Read the whole list into the journal where that costs fewer requests than look-ups, or nothing else helps."""
        if self._finder is not None:
            self._has_list = await self._finder.read_list_if_cheaper(journal)

    async def decide(self, writes: Sequence[Write]) -> tuple[Decided, FailedLookUps]:
        """Find the records of rows, whose keys are claimed, and decide.

        What the whole list showed is a hint: it ends rows that need no write. Before a write the record is looked up,
        except for a key that only the list finds: then this run alone writes the family since before it was read.

        Returns:
            the writes with what was decided, and those on whose look-ups the server fails.

        Raises:
            CareCloudError: the server cannot be reached, or refuses the client.
        """
        decided: list[tuple[Write, RowResult | Plan]] = []
        if self._has_list:
            new = [write for write in writes if write.intent is None]
            known = [write for write in new if self._decides_unlisted or write.listed is not None]
            decided = await self._decide(known, _from_list(known))
        done = {write.id for write, decision in decided if self._needs_no_look_up(decision)}
        again = [write for write in writes if write.id not in done]
        decided = [(write, decision) for write, decision in decided if write.id in done]
        looked_up = await self._find(again)
        failed = [(write, error) for write in again if (error := looked_up.failure(write.key)) is not None]
        at_fault = {write.id for write, _ in failed}
        decided += await self._decide([write for write in again if write.id not in at_fault], looked_up)
        decided.sort(key=lambda decision: decision[0].id)
        checked, more = await self.parts.check(decided, dry_run=self._options.dry_run)
        return checked, [*failed, *more]

    def may_be_hidden(self, write: Write, result: RowResult) -> bool:
        """Return whether the record of a write may have been created, and its key does not show it."""
        return result.outcome is Outcome.UNKNOWN and write.kind == RECORD and not self.shows_lost_creates

    def _needs_no_look_up(self, decided: RowResult | Plan) -> bool:
        """Return whether what the whole list showed is enough."""
        if not isinstance(decided, Plan) or self._options.dry_run:
            return True
        return self._key is not None and self._key.needs_list and decided.kind != "update"

    async def _find(self, writes: Sequence[Write]) -> FoundByKey:
        keys = [conceal(write.body.key) for write in writes if write.body.key is not None]
        return FoundByKey() if self._finder is None or not keys else await self._finder.find(keys)

    async def _decide(self, writes: Sequence[Write], looked_up: FoundByKey) -> list[tuple[Write, RowResult | Plan]]:
        decided = []
        for number, write in enumerate(writes):
            if number % BATCH == BATCH - 1:
                await anyio.lowlevel.checkpoint()
            decision = after_a_loss(write, self._decide_one(write, looked_up), copies=self._copies(write, looked_up))
            is_doubted = write.is_doubted or write.intent is not None
            if is_doubted and isinstance(decision, Plan) and decision.is_new and not self.shows_lost_creates:
                reason = _NO_KEY if self._key is None else _NOT_SHOWN
                decision = RowResult(outcome=Outcome.UNKNOWN, reasons=(reason,))
            if isinstance(decision, RowResult) and decision.outcome is Outcome.CREATED:
                # It was found after a loss, and another program may have made it, without what our create sends beside
                # it: what can be looked up of that is a part like any other.
                write = attrs.evolve(write, body=attrs.evolve(write.body, create_fields={}))
            decided.append((write, decision))
        return decided

    def _copies(self, write: Write, looked_up: FoundByKey) -> Sequence[str | None]:
        """Return the ids of the records that a lost create has made; nothing of any other write."""
        if write.intent is None or not write.intent.was_absent or looked_up.refusal(write.key):
            return ()
        records = self._family.copies(write.body, looked_up.of(write.key))
        return [self._family.facts.id_of(msgspec.json.decode(record)) for record in records]

    def _decide_one(self, write: Write, looked_up: FoundByKey) -> RowResult | Plan:
        if reasons := looked_up.refusal(write.key):
            return refused(*reasons)
        decided = partial(
            decide,
            write.body,
            looked_up.of(write.key),
            family=self._family,
            key=self._key,
            read_at=looked_up.read_at.get(write.key or "", 0.0),
        )
        options = self._options
        if options.mode == "create" and write.intent is not None and write.intent.was_absent:
            # The record that is there now may be the one that this write has made: then it has every value.
            same = decided(options=attrs.evolve(options, mode="upsert"))
            if not isinstance(same, Plan) and same.outcome is Outcome.UNCHANGED:
                return same
        return decided(options=options)


def _from_list(writes: Sequence[Write]) -> FoundByKey:
    """Return the records that the whole list has; the journal keeps one record of a key, and their number."""
    return FoundByKey(
        records={
            write.key: (write.listed,) * max(write.listed_count, 1)
            for write in writes
            if write.key is not None and write.listed is not None
        }
    )
