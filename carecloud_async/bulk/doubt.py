"""Rows whose answer was lost: look the record up, and send again only what certainly did not happen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from attrs import frozen

from carecloud_async.bulk.check import CheckedRow
from carecloud_async.bulk.decide import Plan
from carecloud_async.bulk.family import BulkTarget
from carecloud_async.bulk.finding import Finder
from carecloud_async.bulk.outcome import Outcome, RowResult
from carecloud_async.bulk.stored_row import Intent, StoredRow

__all__ = ["SentRow", "Verdict", "intent_of", "look_again", "outcome_shown", "sent_row"]

#: How often a row is sent that never gets an answer. A kill counts too, so it is more often than one run would try.
MOST_TRIES: Final = 20


@frozen(kw_only=True)
class SentRow:
    """A row that was sent, of which no answer came.

    Attributes:
        checked: the row.
        key: its key as keys are compared.
        intent: what was sent.
        lost_at: when its answer was lost at the latest, on the monotonic clock.
        tries: how often it was sent.
    """

    checked: CheckedRow
    key: str | None
    intent: Intent
    lost_at: float
    tries: int


@frozen(kw_only=True)
class Verdict:
    """What the look-up of a doubtful row showed.

    Attributes:
        result: its outcome, if that is certain now.
        send_again: whether it certainly did not happen, so that it can be sent again. Neither: look again later.
    """

    result: RowResult | None = None
    send_again: bool = False


def sent_row(row: StoredRow, *, not_before: float = 0.0) -> SentRow:
    """Return a row of the journal that was intended.

    Args:
        row: the row.
        not_before: the earliest time at which its answer can have been lost, on the monotonic clock.
    """
    assert row.intent is not None  # noqa: S101  (it was intended)
    lost_at = max(row.lost_at, not_before)
    return SentRow(checked=row.checked, key=row.key, intent=row.intent, lost_at=lost_at, tries=row.tries)


def intent_of(plan: Plan) -> Intent:
    """Return what is to be remembered of a write before it is sent."""
    return Intent(kind=plan.kind, record_id=plan.record_id, changed=plan.changed, base=plan.base)


async def look_again(rows: Sequence[SentRow], *, finder: Finder, target: BulkTarget) -> list[Verdict]:
    """Look up rows whose answer was lost, once, and return a verdict on each.

    Raises:
        CareCloudError: the server is away or refuses the client.
    """
    now = target.clock.monotonic()  # what is looked up later may show more, never less
    found = await finder.find([row.checked.key for row in rows if row.checked.key is not None])
    verdicts = []
    for row in rows:
        if reasons := found.refusal(row.key):
            verdicts.append(Verdict(result=RowResult(outcome=Outcome.UNKNOWN, reasons=reasons)))
        else:
            is_settled = now >= row.lost_at + target.settle_seconds
            verdicts.append(_judge(row, found.of(row.key), target, is_settled=is_settled))
    return verdicts


def outcome_shown(row: SentRow | None, found: Sequence[bytes], *, target: BulkTarget) -> RowResult | None:
    """Return the outcome of a row that was sent before, if its record shows by now that it was done.

    Args:
        row: the row; `None` if it was never sent.
        found: the records that its key finds now.
        target: the family.
    """
    return None if row is None or not found else _judge(row, found, target, is_settled=True).result


def _judge(row: SentRow, found: Sequence[bytes], target: BulkTarget, *, is_settled: bool) -> Verdict:
    intent = row.intent
    if intent.base is None:
        verdict = _judge_create(found, target, is_settled=is_settled)
    else:
        verdict = _judge_update(row.checked, intent, found, target, is_settled=is_settled)
    if verdict.send_again and row.tries >= MOST_TRIES:
        reason = f"sent {row.tries} times, and each time the answer was lost"
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
