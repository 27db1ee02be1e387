"""Rows whose answer was lost: look the record up, and send again only what certainly did not happen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from attrs import frozen

from carecloud_async.bulk.check import CheckedRow
from carecloud_async.bulk.decide import Plan
from carecloud_async.bulk.family import BulkTarget
from carecloud_async.bulk.journal import Intent
from carecloud_async.bulk.outcome import Outcome, RowResult

__all__ = ["Verdict", "intent_of", "judge_doubt"]

#: How often a row is sent that never gets an answer. A kill counts too, so it is more often than one run would try.
MOST_TRIES: Final = 20


@frozen(kw_only=True)
class Verdict:
    """What the look-up of a doubtful row showed.

    Attributes:
        result: its outcome, if that is certain now.
        send_again: whether it certainly did not happen, so that it can be sent again. Neither: look again later.
    """

    result: RowResult | None = None
    send_again: bool = False


def intent_of(plan: Plan) -> Intent:
    """Return what is to be remembered of a write before it is sent."""
    return Intent(kind=plan.kind, record_id=plan.record_id, changed=plan.changed, base=plan.base)


def judge_doubt(
    row: CheckedRow, intent: Intent, found: Sequence[bytes], *, target: BulkTarget, is_settled: bool, tries: int
) -> Verdict:
    """Return what a look-up says of a row whose answer was lost.

    Args:
        row: the row.
        intent: what was sent.
        found: the records that its key finds now.
        target: the family.
        is_settled: whether the look-up began so late that the request is not under way any more.
        tries: how often the row was sent.
    """
    if intent.base is None:
        verdict = _judge_create(found, target, is_settled=is_settled)
    else:
        verdict = _judge_update(row, intent, found, target, is_settled=is_settled)
    if verdict.send_again and tries >= MOST_TRIES:
        reason = f"sent {tries} times, and each time the answer was lost"
        return Verdict(result=RowResult(outcome=Outcome.UNKNOWN, record_id=intent.record_id, reasons=(reason,)))
    return verdict


def _judge_create(found: Sequence[bytes], target: BulkTarget, *, is_settled: bool) -> Verdict:
    if found:
        return Verdict(result=RowResult(outcome=Outcome.CREATED, record_id=_id_of(found[0], target)))
    return Verdict(send_again=is_settled)


def _judge_update(
    row: CheckedRow, intent: Intent, found: Sequence[bytes], target: BulkTarget, *, is_settled: bool
) -> Verdict:
    gone = "the record is gone or its key is another one now"
    if len(found) != 1:
        if not is_settled:
            return Verdict()
        return Verdict(result=RowResult(outcome=Outcome.CONFLICT, record_id=intent.record_id, reasons=(gone,)))
    if not {*target.merge(found[0], row.changes).changed} & {*intent.changed}:
        result = RowResult(outcome=Outcome.UPDATED, record_id=intent.record_id, changed_fields=intent.changed)
        return Verdict(result=result)
    if msgspec.json.decode(found[0]) == msgspec.json.decode(intent.base or b"null"):
        return Verdict(send_again=True)
    if not is_settled:
        return Verdict()
    reason = "the answer was lost, and the record is now neither what it was nor what the row says"
    return Verdict(result=RowResult(outcome=Outcome.CONFLICT, record_id=intent.record_id, reasons=(reason,)))


def _id_of(record: bytes, target: BulkTarget) -> str | None:
    found = msgspec.json.decode(record).get(target.id_field) if target.id_field else None
    return None if found is None else str(found)
