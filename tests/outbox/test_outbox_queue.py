"""The file of an outbox, read while no program has it open."""

from contextlib import closing
from functools import partial

import pytest

from carecloud_async.bulk.machine import State
from carecloud_async.errors import ConnectionFailedError
from carecloud_async.outbox.queue import OutboxQueue
from carecloud_async.outbox.queue_values import NewEntry, Progress


def entry(kind, lane, key):
    return NewEntry(kind=kind, key=key, once=key, lane=lane, label=f"{kind} {key}", body=b"{}")


def test_a_closed_outbox_says_why_its_entries_wait(path):
    """A lost answer until when, what follows it after which entry, the rest with the problem of their kind."""
    with closing(OutboxQueue.open(path, binding={})) as queue:
        queue.begin(owner=1, now=100.0, settle_seconds=35.0)
        queue.put(entry("bill", "c", "1"), put_at=0.0)
        queue.put(entry("bill", "c", "2"), put_at=0.0)
        queue.put(entry("points", "d", "3"), put_at=0.0)
        queue.put(entry("events", "e", "4"), put_at=0.0)
        queue.note({1: Progress(state=State.LOST, lost_at=100.0, tries=1, fault="504")})
        queue.leave({"points": ConnectionFailedError("no network"), "events": ValueError("of a value")})
    with closing(OutboxQueue.open(path, binding=None)) as queue:
        lost, follows, points, events = queue.waiting_entries(limit=9, now=110.0)
        restarted, *_ = queue.waiting_entries(limit=1, now=5.0)
        over, *_ = queue.waiting_entries(limit=1, now=500.0)
    assert (lost.is_lost, lost.fault, lost.due_in, lost.after) == (True, "504", 25.0, None)
    assert (restarted.due_in, over.due_in) == (None, 0.0)
    assert (follows.is_lost, follows.after) == (False, 1)
    assert (points.after, points.problem.problem, points.problem.fix) == (None, "no network", ConnectionFailedError.fix)
    assert str(events.problem) == "ValueError"


def test_the_next_program_begins_without_problems(path):
    """A program that opens the outbox forgets why the last one could not send."""
    with closing(OutboxQueue.open(path, binding={})) as queue:
        queue.begin(owner=1, now=0.0, settle_seconds=35.0)
        queue.put(entry("points", "d", "3"), put_at=0.0)
        queue.leave({"points": ConnectionFailedError("no network")})
        queue.begin(owner=2, now=0.0, settle_seconds=35.0)
        (points,) = queue.waiting_entries(limit=9, now=0.0)
    assert points.problem is None


def test_earlier_owners_are_named_until_their_claims_are_adopted(path):
    """A program that is killed before it has the claims of an earlier one leaves both to the next program."""
    with closing(OutboxQueue.open(path, binding={})) as queue:
        begin = partial(queue.begin, now=0.0, settle_seconds=35.0)
        assert begin(owner=1) == []
        assert begin(owner=2) == [1]
        assert begin(owner=3) == [1, 2]
        queue.forget_earlier_owners(3)
        assert begin(owner=4) == [3]


@pytest.mark.parametrize(
    ("before", "now", "lost_at"), [("a", "b", 100_100.0), ("a", "a", 100.0), (None, "b", 100.0), ("a", None, 100.0)]
)
def test_what_was_lost_in_another_boot_is_lost_now(path, before, now, lost_at):
    """A time on the clock of another host says nothing; where a boot has no id, the times are taken as they are."""
    with closing(OutboxQueue.open(path, binding={})) as queue:
        queue.begin(owner=1, now=100.0, settle_seconds=35.0, boot=before)
        queue.put(entry("bill", "c", "1"), put_at=0.0)
        queue.note({1: Progress(state=State.LOST, lost_at=100.0, tries=1)})
        (waiting,) = queue.waiting_entries(limit=9, now=120.0, boot=now)
        queue.begin(owner=2, now=100_100.0, settle_seconds=35.0, boot=now)
        (taken,) = queue.take(9, but=(), but_kinds=(), now=100_100.0)
    assert waiting.due_in == (15.0 if lost_at == 100.0 else None)
    assert taken.progress.lost_at == lost_at
