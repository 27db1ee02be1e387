"""`HeldKeys`: the keys and records that the rows of one run hold while they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import attrs

from carecloud_async._base.runtime.threads import run_in_thread
from carecloud_async.bulk.claims import Claimed, Claims
from carecloud_async.bulk.outcome import RowResult
from carecloud_async.bulk.rows import RECORD, Plan, Write

__all__ = ["HeldKeys"]


class HeldKeys:
    """What the rows of one run hold. A key is held by one row of one run; so is a record.

    Args:
        claims: the keys that runs on this machine are writing; `None` in a dry run, which holds none.
        keys_of: returns the keys of a write.
        records: the records that are being written, with the numbers of their rows; several runs may share them.
    """

    def __init__(self, claims: Claims | None, keys_of: Callable[[Write], list[str]], records: dict[str, int]) -> None:
        self._records = records
        self._own_records: set[str] = set()
        self._claims = claims
        self._keys_of = keys_of
        self._holder: dict[str, int] = {}
        self._of_row: dict[int, set[str]] = {}
        self._in_doubt: set[int] = set()
        self._family: set[str] = set()

    async def claim_family(self, key: str) -> bool:
        """Claim a whole family until the run ends; return whether no other run holds it."""
        if self._claims is None:
            return True
        claimed = await run_in_thread(partial(self._claims.claim, [key]))
        if not claimed.busy:
            self._family.add(key)
        return not claimed.busy

    async def claim(self, writes: Sequence[Write]) -> tuple[list[Write], list[Write]]:
        """Claim the keys of writes; return those that have all of theirs, and the others, which have to wait."""
        if self._claims is None:
            return [*writes], []
        wanted: dict[str, int] = {}
        asked: dict[int, list[str]] = {}
        for write in writes:
            keys = [key for key in self._keys_of(write) if key not in self._family]
            if all({self._holder.get(key, write.row), wanted.get(key, write.row)} == {write.row} for key in keys):
                # Parts of one row may have one key: what another one asks for now is not held yet.
                asked[write.id] = [key for key in keys if key not in self._holder]
                wanted.update(dict.fromkeys(asked[write.id], write.row))
        claimed = await run_in_thread(partial(self._claims.claim, [*wanted])) if wanted else Claimed()
        ready, others = [], []
        for write in writes:
            if write.id not in asked or not claimed.busy.isdisjoint(asked[write.id]):
                others.append(write)
                continue
            self._hold(write.row, asked[write.id])
            ready.append(_let_go(write) if claimed.new.intersection(asked[write.id]) else write)
        await self._release(key for key in wanted if key not in self._holder and key not in claimed.busy)
        return ready, others

    def hold_records(self, records: Mapping[str, int]) -> None:
        """Hold records that rows are writing, whose numbers are given."""
        self._records.update(records)
        self._own_records.update(records)

    def one_write_a_record(
        self, decided: Sequence[tuple[Write, RowResult | Plan]]
    ) -> tuple[list[tuple[Write, RowResult | Plan]], list[Write]]:
        """Hold the records that are about to be written; return the writes whose records other rows are writing too."""
        ready: list[tuple[Write, RowResult | Plan]] = []
        others: list[Write] = []
        for write, one in decided:
            held = one.held if isinstance(one, Plan) else one.record_id
            record = held if write.kind == RECORD else None
            if record is not None and self._records.get(record, write.row) != write.row:
                others.append(write)
                continue
            if record is not None and isinstance(one, Plan):
                self.hold_records({record: write.row})
            ready.append((write, one))
        return ready, others

    def stop_writing(self, writes: Iterable[Write]) -> None:
        """Let go of the records of writes that are not under way any more."""
        rows = {write.row for write in writes if write.kind == RECORD}
        for record in [record for record in self._own_records if self._records.get(record) in rows]:
            self._drop_record(record)
        self._in_doubt -= rows

    def doubt(self, writes: Iterable[Write]) -> None:
        """Note writes whose answer was lost."""
        self._in_doubt.update(write.row for write in writes)

    async def release(self, rows: Iterable[int]) -> None:
        """Let go of the keys of rows that have their outcome."""
        keys: list[str] = []
        for row in rows:
            found = self._of_row.pop(row, set())
            self._in_doubt.discard(row)
            keys += found
            for key in found:
                self._holder.pop(key, None)
        await self._release(keys)

    async def leave(self) -> None:
        """Let go of all keys; those of rows in doubt stay claimed until their requests can take no effect any more."""
        claims, in_doubt = self._claims, self._in_doubt
        for record in [*self._own_records]:
            self._drop_record(record)
        if claims is None:
            return
        left = [key for row in in_doubt for key in self._of_row.get(row, ())]
        if left:
            await run_in_thread(partial(claims.leave, [*left, *self._family]))
        keys = {key for row, keys in self._of_row.items() if row not in in_doubt for key in keys}
        await self._release(keys if left else keys | self._family)

    async def _release(self, keys: Iterable[str]) -> None:
        given = [*keys]
        if self._claims is not None and given:
            await run_in_thread(partial(self._claims.release, given))

    def _drop_record(self, record: str) -> None:
        self._own_records.discard(record)
        self._records.pop(record, None)

    def _hold(self, row: int, keys: Iterable[str]) -> None:
        for key in keys:
            self._holder[key] = row
            self._of_row.setdefault(row, set()).add(key)


def _let_go(write: Write) -> Write:
    """Return a write whose key was not held since it was sent: another run may have made its record meanwhile."""
    if write.intent is None:
        return write
    return attrs.evolve(write, intent=attrs.evolve(write.intent, was_absent=False))
