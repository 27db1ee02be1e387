"""`HeldKeys`: the keys and records that the writes of one run hold while they are under way.

They are claimed in this order, so that no two runs wait for each other forever: first all keys of a row at once, while
the row holds nothing; then the record that its look-up found, until the record is written; then the key of each part,
and the record that the part changes, such as a card, until the part is written. A write that does not get its claim
has another turn later. One that has the claim of a record waits for no other claim. Where that claim is the key of a
row, the parts of the row do, but they change records of another family, whose rows have no parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import attrs

from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async.bulk.claims import Claimed, Claims
from carecloud_async.bulk.outcome import RowResult
from carecloud_async.bulk.rows import RECORD, Plan, Write

__all__ = ["HeldKeys"]

#: How many records are remembered after a row has let go of them: more than the turns under way hold.
_REMEMBERED: Final = 10_000


class HeldKeys:
    """The keys and records that the writes of one run hold. Each is held by one row of one run.

    Args:
        claims: the keys and records that runs on this machine are writing; `None` in a dry run, which holds none.
        keys_of: returns the keys of a write.
        claim_of: returns the claim of a record that a write changes, by its id. It may be the key of a row that names
            the record by its id.
        records: the records that are being written, with the numbers of their rows; several engines may share them.
        rows: the rows that hold or are claiming keys, by key, of all engines that share the claims.
        shows_lost_creates: whether the keys show what became of lost creates. If not, keys of rows without an outcome
            are left behind when the run ends.

    Attributes:
        let_go: how many records this run has let go of so far.
    """

    def __init__(
        self,
        claims: Claims | None,
        *,
        keys_of: Callable[[Write], list[str]],
        claim_of: Callable[[Write, str], str],
        records: dict[str, int],
        rows: dict[str, int],
        shows_lost_creates: bool,
    ) -> None:
        self._claims = claims
        self._keys_of = keys_of
        self._claim_of = claim_of
        self._records = records
        self._taken = rows
        self._shows_lost_creates = shows_lost_creates
        self._own_records: set[str] = set()
        self._row_of: dict[str, int] = {}  # key → row
        self._keys: dict[int, dict[int, set[str]]] = {}  # row → id of a write → the keys that it holds
        self._written: dict[str, tuple[int, int]] = {}  # claim of a record → row and id of the write that changes it
        self._in_doubt: dict[int, int] = {}  # id of a write that was sent, and has no outcome yet → row
        self._doubted: set[str] = set()  # keys that another run had left behind when they were claimed
        self._family: set[str] = set()
        self._let_go: dict[str, int] = {}  # record → `let_go` when it was let go, of the last ones
        self._waiting: dict[int, str] = {}  # row → the record that it waits for, before all later rows
        self.let_go: int = 0

    async def claim_family(self, key: str) -> bool:
        """Claim a whole family until the run ends; return whether no other run holds it."""
        claimed = await self._claim([key])
        if not claimed.busy:
            self._family.add(key)
        return not claimed.busy

    async def let_go_since_sent(self, writes: Sequence[Write]) -> list[Write]:
        """Return the writes of an earlier run whose keys this one has not taken over; they no longer count as absent.

        Another run had these keys meanwhile, and may have made their records.
        """
        absent = {write.id: write for write in writes if write.intent is not None and write.intent.was_absent}
        if self._claims is None or not absent:
            return []
        keys = {number: self._keys_of(write) for number, write in absent.items()}
        held = await run_in_thread(partial(self._claims.held, {key for of_row in keys.values() for key in of_row}))
        return [_let_go(write) for number, write in absent.items() if not held.issuperset(keys[number])]

    async def claim(self, writes: Sequence[Write]) -> tuple[list[Write], list[Write]]:
        """Claim the keys of writes; return those that have all of theirs, and the others, which have to wait."""
        if self._claims is None:
            return [*writes], []
        wanted: dict[str, int] = {}
        asked: dict[int, list[str]] = {}
        for write in writes:
            keys = [key for key in self._keys_of(write) if key not in self._family]
            # Parts of one row may have one key.
            if all({self._taken.get(key, write.row), wanted.get(key, write.row)} == {write.row} for key in keys):
                asked[write.id] = keys
                wanted.update({key: write.row for key in keys if key not in self._row_of})
        self._taken.update(wanted)  # at once: to the claims, all engines that share them are one run
        try:
            claimed = await self._claim(wanted)
        except BaseException:
            self._free(wanted)
            raise
        self._doubted.update(claimed.doubted)
        ready, others = [], []
        for write in writes:
            if write.id not in asked or not claimed.busy.isdisjoint(asked[write.id]):
                others.append(write)
                continue
            if not claimed.new.isdisjoint(asked[write.id]):
                write = _let_go(write)
            is_doubted = not self._doubted.isdisjoint(asked[write.id])
            ready.append(attrs.evolve(write, is_doubted=True) if is_doubted else write)
            self._row_of.update(dict.fromkeys(asked[write.id], write.row))
            self._keys.setdefault(write.row, {})[write.id] = {*asked[write.id]}
        self._free(claimed.busy)
        await self._give_back([key for key in wanted if key not in self._row_of and key not in claimed.busy])
        await self._release([claim for claim in map(self._claim_left, others) if claim is not None])
        return ready, others

    def _claim_left(self, write: Write) -> str | None:
        """Return the record's claim of a lost write that waits for its key: the run with the key may need the record.

        The settle time of the write is over, or it would have no turn.
        """
        if write.changed_id is None:
            return None
        claim = self._claim_of(write, write.changed_id)
        return None if claim in self._written or claim in self._taken else claim

    def hold_records(self, records: Mapping[str, int]) -> None:
        """Hold records that rows are writing, whose numbers are given: other rows of this run leave them alone."""
        self._records.update(records)
        self._own_records.update(records)

    async def claim_records(
        self, decided: Sequence[tuple[Write, RowResult | Plan]], *, let_go: int
    ) -> tuple[list[tuple[Write, RowResult | Plan]], list[Write]]:
        """Claim the records that are about to be changed.

        Args:
            decided: the writes, with what was decided from their look-ups.
            let_go: the attribute, before these look-ups.

        Returns:
            the writes that have their record, or need none; and those that are to be looked up again later: another
            row or run is writing the record, or has written it since the look-up, or an earlier row waits for it.
        """
        ready: list[tuple[Write, RowResult | Plan]] = []
        others: list[Write] = []
        wanted: dict[str, tuple[int, int]] = {}
        first_of: dict[str, int] = {}
        for row, wanted_by_it in self._waiting.items():
            first_of[wanted_by_it] = min(row, first_of.get(wanted_by_it, row))
        for write, one in decided:
            record = one.record_id if write.kind == RECORD else None
            if record is not None and (
                self._records.get(record, write.row) != write.row
                or self._let_go.get(record, 0) > let_go
                or first_of.get(record, write.row) < write.row
            ):
                self._waiting[write.row] = record
                first_of[record] = min(write.row, first_of.get(record, write.row))
                others.append(write)
                continue
            if write.kind == RECORD:
                self._waiting.pop(write.row, None)
            if record is not None and isinstance(one, Plan):
                self.hold_records({record: write.row})
            claim = self._claim_for(write, one)
            if claim is not None:
                wanted[claim] = write.row, write.id
            ready.append((write, one))
        claimed = await self._claim([one for one in wanted if one not in self._row_of and one not in self._written])
        self._written.update({one: write for one, write in wanted.items() if one not in claimed.busy})
        others += [write for write, one in ready if self._is_late(write, one, claimed)]
        late = {write.id for write in others}  # they keep the record in this run, so that no later row overtakes them
        return [(write, one) for write, one in ready if write.id not in late], others

    def _claim_for(self, write: Write, decided: RowResult | Plan) -> str | None:
        """Return the claim of the record that a write is about to change; `None` without one."""
        if not isinstance(decided, Plan) or decided.record_id is None:
            return None
        return self._claim_of(write, decided.record_id)

    def _is_late(self, write: Write, decided: RowResult | Plan, claimed: Claimed) -> bool:
        """Return whether another run is writing the record of a write, or has written it since the look-up."""
        claim = self._claim_for(write, decided)
        if claim is None or not isinstance(decided, Plan):
            return False
        # At the same time, too: the clocks of some systems step by 16 milliseconds.
        return claim in claimed.busy or 0 < decided.read_at <= claimed.free_since.get(claim, 0.0)

    def doubt(self, writes: Iterable[Write]) -> None:
        """Note writes that are sent: until they have their outcome, their requests may take effect."""
        self._in_doubt.update({write.id: write.row for write in writes})

    def trust(self, writes: Iterable[Write]) -> None:
        """Note writes that were certainly not sent after all."""
        for write in writes:
            self._in_doubt.pop(write.id, None)

    async def end(self, writes: Collection[Write], *, rows: Collection[int]) -> None:
        """Let go of the keys and records of writes that have their outcome.

        Args:
            writes: records, which let go of the record, and parts, which let go of their keys and of what they change.
            rows: the rows that have their outcome, and let go of all their keys.
        """
        of_records = {write.row for write in writes if write.kind == RECORD}
        for write in writes:
            if write.changed_id is not None:  # an earlier run may have claimed it, and lost its answer
                self._written.setdefault(self._claim_of(write, write.changed_id), (write.row, write.id))
        ended = {write.id for write in writes}
        claims = [one for one, (_, number) in self._written.items() if number in ended and one not in self._row_of]
        self.trust(writes)
        parts = [write for write in writes if write.kind != RECORD]
        try:
            await self._release([*claims, *self._forget(parts), *self._forget_rows(rows)])
        finally:
            # Not before: the claim tells other engines that share it, too, when the record was let go.
            for record in [one for one in self._own_records if self._records.get(one) in of_records]:
                self._drop_record(record)

    async def abandon_rows(self, writes: Sequence[Write]) -> None:
        """Give up the keys of rows whose records may have been created: no look-up by these keys shows it."""
        self.trust(writes)
        keys = self._forget_rows({write.row for write in writes})
        self._doubted.difference_update(keys)
        await self._leave(keys, lambda claims: claims.abandon(keys))

    async def release(self, writes: Iterable[Write]) -> None:
        """Let go of the keys of writes that do not begin after all; those that were left behind stay so."""
        await self._give_back(self._forget(writes))

    async def leave(self) -> None:
        """Let go of everything; what writes in doubt hold stays claimed until their requests can take no effect."""
        for record in [*self._own_records]:
            self._drop_record(record)
        held = {**{claim: row for claim, (row, _) in self._written.items()}, **self._row_of}
        rows = {*self._in_doubt.values()} if self._shows_lost_creates else {*held.values()}
        # The claim of a family stands for the keys of all its rows.
        left = {key for key, row in held.items() if row in rows} | (self._family if rows else set())
        try:
            await self._leave(left, lambda claims: claims.leave(left))
        finally:  # so that no other engine waits for the rest for ever
            await self._release((held.keys() | self._family) - left)

    async def _claim(self, keys: Collection[str]) -> Claimed:
        if self._claims is None or not keys:
            return Claimed()
        return await run_in_thread(partial(self._claims.claim, [*keys]))

    async def _give_back(self, keys: Collection[str]) -> None:
        """Let go of keys of writes that do not begin; those that another run had left behind stay left behind."""
        left = self._doubted.intersection(keys)
        self._doubted -= left
        try:
            await self._leave(left, lambda claims: claims.abandon(left, settled=True))
        finally:
            await self._release(key for key in keys if key not in left)

    async def _release(self, keys: Iterable[str]) -> None:
        given = [*keys]
        self._doubted.difference_update(given)
        records = [key for key in given if self._written.pop(key, None) is not None]
        keys = set(given).difference(records)
        await self._leave(given, lambda claims: claims.release(keys, records=records))

    async def _leave(self, keys: Collection[str], leave: Callable[[Claims], None]) -> None:
        """Let go of keys in the claims, and then among the engines that share them."""
        try:
            if self._claims is not None and keys:
                await run_in_thread(partial(leave, self._claims))
        finally:
            self._free(keys)

    def _free(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._taken.pop(key, None)

    def _forget(self, writes: Iterable[Write]) -> list[str]:
        """Forget what writes hold; return the keys that no other write of their rows holds."""
        keys: list[str] = []
        for write in writes:
            of_row = self._keys.get(write.row, {})
            keys += of_row.pop(write.id, set()).difference(*of_row.values())
        for key in keys:
            self._row_of.pop(key, None)
        return keys

    def _forget_rows(self, rows: Iterable[int]) -> list[str]:
        keys = [key for row in rows for key in set[str]().union(*self._keys.pop(row, {}).values())]
        for key in keys:
            self._row_of.pop(key, None)
        return keys

    def _drop_record(self, record: str) -> None:
        self._own_records.discard(record)
        self._records.pop(record, None)
        self.let_go += 1
        self._let_go.pop(record, None)
        self._let_go[record] = self.let_go
        if len(self._let_go) > _REMEMBERED:
            del self._let_go[next(iter(self._let_go))]


def _let_go(write: Write) -> Write:
    """Return a write whose key was not held since it was sent: another run may have made its record meanwhile."""
    if write.intent is None or write.intent.made is not None:
        return write
    return attrs.evolve(write, intent=attrs.evolve(write.intent, was_absent=False))
