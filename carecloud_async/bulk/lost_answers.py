"""What became of a row whose answer was lost: judged by the records that its key finds now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from attrs import frozen

from carecloud_async.bulk.family import BulkTarget
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.rows import CheckedRow, Intent, StoredRow

__all__ = ["Verdict", "judge"]

#: A row that was sent this often without an answer is `unknown`. A kill counts too, so one run tries less.
MAX_TRIES: Final = 20

_GONE: Final = "the record is gone or its key is another one now"
_NEITHER: Final = "the answer was lost, and the record is now neither what it was nor what the row says"


@frozen(kw_only=True)
class Verdict:
    """What became of a row. If neither attribute is set, that cannot be known yet: look again later.

    Attributes:
        result: its outcome.
        send_again: whether the request certainly did nothing and never will.
    """

    result: RowResult | None = None
    send_again: bool = False


def judge(row: StoredRow, found: Sequence[bytes], target: BulkTarget, *, is_settled: bool) -> Verdict:
    """Return what became of a row that was sent.

    Args:
        row: the row.
        found: the records that its key finds now.
        target: the family.
        is_settled: whether so much time has passed since that the request can no longer take effect.
    """
    intent = row.intent
    assert intent is not None  # noqa: S101  (it was sent)
    if intent.base is None:
        verdict = _judge_create(found, target, is_settled=is_settled)
    else:
        verdict = _judge_update(row.checked, intent, intent.base, found, target, is_settled=is_settled)
    if verdict.send_again and row.tries >= MAX_TRIES:
        reason = f"sent {row.tries} times, and each time the answer was lost"
        return _ended(Outcome.UNKNOWN, intent.record_id, reason)
    return verdict


def _judge_create(found: Sequence[bytes], target: BulkTarget, *, is_settled: bool) -> Verdict:
    if len(found) > 1:
        return _ended(Outcome.UNKNOWN, None, f"the answer was lost, and {len(found)} records have this key now")
    if found:
        return _ended(Outcome.CREATED, target.id_of(msgspec.json.decode(found[0])))
    return Verdict(send_again=is_settled)


def _judge_update(
    row: CheckedRow, intent: Intent, base: bytes, found: Sequence[bytes], target: BulkTarget, *, is_settled: bool
) -> Verdict:
    if len(found) == 1:
        if not {*target.merge(found[0], row.changes).changed} & {*intent.changed}:
            result = RowResult(outcome=Outcome.UPDATED, record_id=intent.record_id, changed_fields=intent.changed)
            return Verdict(result=result)
        if msgspec.json.decode(found[0]) == msgspec.json.decode(base):
            return Verdict(send_again=True)
    if not is_settled:
        return Verdict()
    return _ended(Outcome.CONFLICT, intent.record_id, _NEITHER if len(found) == 1 else _GONE)


def _ended(outcome: Outcome, record_id: str | None, *reasons: str) -> Verdict:
    return Verdict(result=RowResult(outcome=outcome, record_id=record_id, reasons=reasons))
