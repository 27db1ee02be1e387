"""`HeldKeys`: the keys and records that the writes of one run hold while they are under way.

They are claimed in this order, so that no two runs wait for each other forever: first all keys of a row at once, while
the row holds nothing; then the record that its look-up found, until the record is written; then the key of each part,
and the record that the part changes, such as a card, until the part is written. A write that does not get its claim
has another turn later. One that has the claim of a record waits for no other claim. Where that claim is the key of a
row, the parts of the row do, but they change records of another family, whose rows have no parts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Final

import attrs

from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async.bulk.claims import Claimed, Claims
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import RECORD, Plan, Write

#: How many records are remembered after a row has let go of them: more than the turns under way hold.
_REMEMBERED: Final = 10_000


class Hold:
    """A key or a record that a row of this run holds.

    Attributes:
        row: the row; `None` for a family, which the run holds until it ends.
        writes: the writes of the row whose key it is.
        changed_by: the write whose record it is.
        is_claimed: whether it is in the claims; if not, only other rows of this process leave it alone.
        is_doubted: whether another run had left it behind when it was claimed.
        made_at: when another write let go of it, on the monotonic clock, if a record of it was made a moment ago.
        is_made: whether a record of it was made a moment ago, by another write or one of this run.
    """

    def __init__(self, row: int | None, *, is_claimed: bool = True) -> None:
        self.row = row
        self.writes: set[int] = set()
        self.changed_by: int | None = None
        self.is_claimed: bool = is_claimed
        self.is_doubted: bool = False
        self.made_at: float | None = None
        self.is_made: bool = False

    def is_free_without(self, ended: Collection[int]) -> bool:
        """Return whether nothing holds it any more when these writes have ended."""
        return not self.writes and (self.changed_by is None or self.changed_by in ended)


class HeldKeys:
    """The keys and records that the writes of one run hold. Each is held by one row of one run.

    Args:
        claims: the keys and records that runs on this machine are writing; `None` in a dry run, which holds none.
        keys_of: returns the keys of a write: its own, then those of its parts.
        claim_of: returns the claim of a record that a write changes, by its id. It may be the key of a row that names
            the record by its id.
        taken: what rows hold or are claiming, of all engines that share the claims: key or claim of a record → row.
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
        taken: dict[str, int],
        shows_lost_creates: bool,
    ) -> None:
        self._claims = claims
        self._keys_of = keys_of
        self._claim_of = claim_of
        self._taken = taken
        self._shows_lost_creates = shows_lost_creates
        self._holds: dict[str, Hold] = {}
        self._in_doubt: dict[int, int] = {}  # id of a write that was sent, and has no outcome yet → row
        self._let_go: dict[str, int] = {}  # record → `let_go` when it was let go, of the last ones
        self._waiting: dict[int, str] = {}  # row → the record that it waits for, before all later rows
        self.let_go: int = 0

    async def claim_family(self, key: str) -> bool:
        """Claim a whole family until the run ends; return whether no other run holds it."""
        claimed = await self._claim([key])
        if not claimed.busy:
            self._holds[key] = Hold(None)
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
        asked, wanted = self._choose(writes)
        self._taken.update(wanted)  # at once: to the claims, all engines that share them are one run
        try:
            claimed = await self._claim(wanted)
        except BaseException:
            self._free(wanted)
            raise
        for key in wanted.keys() - claimed.busy:
            hold = self._holds.setdefault(key, Hold(wanted[key]))
            hold.is_claimed, hold.is_doubted = True, hold.is_doubted or key in claimed.doubted
            if key in claimed.made:
                hold.is_made, hold.made_at = True, claimed.free_since[key]
        ready, others = [], []
        for write in writes:
            keys = asked.get(write.id)
            if keys is None or not claimed.busy.isdisjoint(keys):
                others.append(write)
            else:
                ready.append(self._hold_keys(write, keys))
        self._free(claimed.busy)
        await self._give_back([key for key in wanted if key not in claimed.busy and not self._is_key(key)])
        if left := [claim for claim in map(self._claim_left, others) if claim is not None]:
            await run_in_thread(partial(self._claims.release, left))
        return ready, others

    def _choose(self, writes: Sequence[Write]) -> tuple[dict[int, list[str]], dict[str, int]]:
        """Return the keys of each write that no other row of this process holds, and those to be claimed → row."""
        asked: dict[int, list[str]] = {}
        wanted: dict[str, int] = {}
        for write in writes:
            row = write.row
            keys = [key for key in self._keys_of(write) if key not in self._holds or self._holds[key].row is not None]
            # Parts of one row may have one key.
            if all(self._taken.get(key, row) == row and wanted.get(key, row) == row for key in keys):
                asked[write.id] = keys
                wanted.update({key: row for key in keys if not self._is_key(key)})
        return asked, wanted

    def _hold_keys(self, write: Write, keys: Sequence[str]) -> Write:
        """Note that a write has its keys, and return it with what other runs may have done with them."""
        holds = [self._holds[key] for key in keys]
        for hold in holds:
            hold.writes.add(write.id)
        is_doubted = any(hold.is_doubted for hold in holds)
        made_at = max((hold.made_at for hold in holds if hold.made_at is not None), default=None)
        if not is_doubted and made_at is None:  # nearly always
            return write
        return attrs.evolve(write, is_doubted=is_doubted, made_at=made_at)

    def _is_key(self, name: str) -> bool:
        return name in self._holds and bool(self._holds[name].writes)

    def _claim_left(self, write: Write) -> str | None:
        """Return the record's claim of a lost write that waits for its key: the run with the key may need the record.

        The settle time of the write is over, or it would have no turn.
        """
        if write.changed_id is None:
            return None
        claim = self._claim_of(write, write.changed_id)
        is_held = claim in self._holds and self._holds[claim].is_claimed
        return None if is_held or self._taken.get(claim, write.row) != write.row else claim

    def hold_lost(self, writes: Iterable[Write]) -> None:
        """Hold the records that an earlier run was changing: other rows of this run leave them alone."""
        for write in writes:
            if write.kind == RECORD and write.changed_id is not None:
                self._hold_record(self._claim_of(write, write.changed_id), write)

    def _hold_record(self, record: str, write: Write) -> None:
        self._taken[record] = write.row
        self._holds.setdefault(record, Hold(write.row, is_claimed=False)).changed_by = write.id

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
        wanted: dict[str, Write] = {}
        first_of: dict[str, int] = {}
        for row, wanted_by_it in self._waiting.items():
            first_of[wanted_by_it] = min(row, first_of.get(wanted_by_it, row))
        for write, decision in decided:
            record = None if decision.record_id is None else self._claim_of(write, decision.record_id)
            if (
                record is not None
                and write.kind == RECORD
                and (
                    self._taken.get(record, write.row) != write.row
                    or self._let_go.get(record, 0) > let_go
                    or first_of.get(record, write.row) < write.row
                )
            ):
                self._waiting[write.row] = record
                first_of[record] = min(write.row, first_of.get(record, write.row))
                others.append(write)
                continue
            if write.kind == RECORD:
                self._waiting.pop(write.row, None)
            if record is not None and isinstance(decision, Plan):
                if write.kind == RECORD:
                    self._hold_record(record, write)
                wanted[record] = write
            ready.append((write, decision))
        new = [name for name in wanted if name not in self._holds or not self._holds[name].is_claimed]
        claimed = await self._claim(new)
        for record, write in wanted.items():
            if record not in claimed.busy:
                hold = self._holds.setdefault(record, Hold(write.row))
                hold.changed_by, hold.is_claimed = write.id, True
        others += [write for write, decision in ready if self._is_late(write, decision, claimed)]
        late = {write.id for write in others}  # they keep the record in this run, so that no later row overtakes them
        return [(write, decision) for write, decision in ready if write.id not in late], others

    def _is_late(self, write: Write, decided: RowResult | Plan, claimed: Claimed) -> bool:
        """Return whether another run is writing the record of a write, or has written it since the look-up."""
        if not isinstance(decided, Plan) or decided.record_id is None:
            return False
        claim = self._claim_of(write, decided.record_id)
        # At the same time, too: the clocks of some systems step by 16 milliseconds.
        return claim in claimed.busy or 0 < decided.read_at <= claimed.free_since.get(claim, 0.0)

    def doubt(self, writes: Iterable[Write]) -> None:
        """Note writes that are sent: until they have their outcome, their requests may take effect."""
        self._in_doubt.update({write.id: write.row for write in writes})

    def trust(self, writes: Iterable[Write]) -> None:
        """Note writes that were certainly not sent after all."""
        for write in writes:
            self._in_doubt.pop(write.id, None)

    async def end(self, results: Collection[tuple[Write, RowResult]], *, rows: Collection[int]) -> None:
        """Let go of the keys and records of writes that have their outcome.

        Args:
            results: records, which let go of the record, and parts, which let go of their keys and of what they change.
            rows: the rows that have their outcome, and let go of all their keys.
        """
        writes = [write for write, _ in results]
        self.trust(writes)
        for write, result in results:
            if result.outcome is Outcome.CREATED and (write.key is not None or write.kind != RECORD):
                made = self._keys_of(write)[0]  # the others are those of its parts
                if made in self._holds:
                    self._holds[made].is_made = True
        for write in writes:
            if write.changed_id is not None:  # an earlier run may have claimed it, and lost its answer
                hold = self._holds.setdefault(self._claim_of(write, write.changed_id), Hold(write.row))
                hold.changed_by, hold.is_claimed = hold.changed_by or write.id, True
        parts = {write.id for write in writes if write.kind != RECORD}
        ended, of_writes, free = {write.id for write in writes}, {write.row for write in writes}, []
        for name, hold in self._holds.items():
            if parts:
                hold.writes -= parts
            if hold.row in rows or (hold.row in of_writes and hold.is_free_without(ended)):
                free.append(name)
        await self._release(free)

    async def abandon_rows(self, writes: Sequence[Write]) -> None:
        """Give up the keys of rows whose records may have been created: no look-up by these keys shows it."""
        self.trust(writes)
        rows = {write.row for write in writes}
        keys = [key for key, hold in self._holds.items() if hold.row in rows and hold.writes]
        await self._leave(keys, lambda claims: claims.abandon(keys))

    async def release(self, writes: Iterable[Write]) -> None:
        """Let go of the keys of writes that do not begin after all; those that were left behind stay so."""
        ids = {write.id for write in writes}
        of_writes = [(key, hold) for key, hold in self._holds.items() if not ids.isdisjoint(hold.writes)]
        for _, hold in of_writes:
            hold.writes -= ids
        await self._give_back([key for key, hold in of_writes if not hold.writes])

    async def leave(self) -> None:
        """Let go of everything; what writes in doubt hold stays claimed until their requests can take no effect."""
        rows = {*self._in_doubt.values()} if self._shows_lost_creates else {hold.row for hold in self._holds.values()}
        # The claim of a family stands for the keys of all its rows.
        left = [name for name, hold in self._holds.items() if hold.row in rows or (hold.row is None and rows)]
        try:
            await self._leave(left, lambda claims: claims.leave(left))
        finally:  # so that no other engine waits for the rest for ever
            await self._release([*self._holds])

    async def _claim(self, keys: Collection[str]) -> Claimed:
        if self._claims is None or not keys:
            return Claimed()
        return await run_in_thread(partial(self._claims.claim, [*keys]))

    async def _give_back(self, keys: Collection[str]) -> None:
        """Let go of keys of writes that do not begin; those that another run had left behind stay left behind."""
        left = [key for key in keys if self._holds[key].is_doubted]
        others = [key for key in keys if not self._holds[key].is_doubted]
        try:
            await self._leave(left, lambda claims: claims.abandon(left, settled=True))
        finally:
            await self._release(others)

    async def _release(self, names: Collection[str]) -> None:
        records, made = self._records_of(names), [name for name in names if self._holds[name].is_made]
        keys = set(names).difference(records, made)
        await self._leave(names, lambda claims: claims.release(keys, records=records, made=made))

    async def _leave(self, names: Collection[str], leave: Callable[[Claims], None]) -> None:
        """Let go of keys and records in the claims, and then among the engines that share them."""
        records = self._records_of(names)
        for name in names:
            del self._holds[name]
        try:
            if self._claims is not None and names:
                await run_in_thread(partial(leave, self._claims))
        finally:  # not before: the claim tells other engines that share it, too, when the record was let go
            for record in records:
                self.let_go += 1
                self._let_go.pop(record, None)
                self._let_go[record] = self.let_go
                if len(self._let_go) > _REMEMBERED:
                    del self._let_go[next(iter(self._let_go))]
            self._free(names)

    def _records_of(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if self._holds[name].changed_by is not None]

    def _free(self, names: Iterable[str]) -> None:
        for name in names:
            self._taken.pop(name, None)


def _let_go(write: Write) -> Write:
    """Return a write whose key was not held since it was sent: another run may have made its record meanwhile."""
    if write.intent is None or write.intent.made is not None:
        return write
    return attrs.evolve(write, intent=attrs.evolve(write.intent, was_absent=False))
